"""People who do not exist, rendered in three dimensions."""
