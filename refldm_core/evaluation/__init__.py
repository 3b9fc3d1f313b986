"""Judge restored faces: metrics, statistics over people, and reports. This package does not use the command line."""
