"""Video files: reading, writing and restoring them as a stream, so that a long video needs little memory."""
