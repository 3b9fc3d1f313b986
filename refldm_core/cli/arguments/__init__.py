"""The options and the help page of each command.

These modules import no large library, so that `refldm COMMAND --help` and the report of a wrong option come at once.
`main.py` imports the module of a command's work, which has the same name one folder up, when the command runs.
"""
