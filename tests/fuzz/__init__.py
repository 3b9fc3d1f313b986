"""Feed damaged and hostile files to every reader. `python -m tests.fuzz --help` explains the command.

A case is one input for one reader. It is made by code from a seed, so that every run can be repeated.
"""
