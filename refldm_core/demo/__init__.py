"""A complete restoration to look at: rendered people, the embedded models, and every stage as a picture."""
