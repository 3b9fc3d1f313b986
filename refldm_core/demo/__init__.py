"""A whole restoration that anybody can watch: drawn people, embedded models, every stage as a picture."""
