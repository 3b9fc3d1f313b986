"""Training and test data: degradations, synthetic people, and FFHQ-Ref."""
