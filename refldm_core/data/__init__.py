"""Training and test data: degradations, corpora, FFHQ-Ref, and building datasets from photos."""
