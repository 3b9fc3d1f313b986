"""Kill commands at random moments and continue them. `python -m tests.kills --help` explains the command."""
