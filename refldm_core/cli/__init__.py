"""The command line: a module for each command, and modules that several commands share.

`main` imports only the modules of the command that the user runs.
"""
