"""Judging restored faces: metrics, statistics over people, and reports. Nothing here knows of the command line."""
