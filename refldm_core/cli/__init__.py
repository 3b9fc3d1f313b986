"""The command line: one file for each command.

`main` imports only the module of the command that was chosen.
"""
