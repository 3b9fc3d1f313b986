"""The command line `refldm`: its commands, their common options, and their exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

from .. import __version__
from ..errors import ReFLDMError, SettingsError, shorten
from .memory import Stage, explained_memory_errors
from .output import Output, escape_what_cannot_be_encoded

COMMANDS = {
    "restore": "restore faces with references of the same person",
    "inspect": "describe a model file",
    "degrade": "make low-quality versions of good pictures",
    "evaluate": "judge restored faces against the true ones, and compare methods",
    "benchmark-table": "restore and judge a test set, and print the rows of the paper's table",
    "dataset": "build a dataset from photos, or check FFHQ-Ref",
    "synthesize": "render pictures of people who do not exist",
    "train": "train a model, on rendered people or on a folder of faces",
    "convert": "write a model as one .safetensors file",
    "download": "download the official model files",
    "comfyui": "link the nodes into an existing ComfyUI",
    "demo": "show every step in a minute, on photos that come with refldm",
}
"""Name of a command -> summary.

Two modules have the name of a command, with underscores. `arguments/NAME.py` has the options, and imports no large
library. `NAME.py` has the work.
"""

EXIT_USER_ERROR = 2
"""Exit code of an error that the user can mend. argparse uses the same code for arguments that it cannot read."""

EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
"""Exit code if the reader of the output, such as `head`, has closed it. SIGPIPE ends a program with the same code."""

_NO_VALUE = re.compile(r"--[\w-]+=\s*")

_DESCRIPTION = "Restore a low-quality face to that person's own likeness, guided by good photos of them (ReF-LDM)."
_EPILOG = """\
exit codes: 0 success; 2 the input must be mended (the message says what); 130 the user interrupted; 141 the reader of
the output closed it, as `head` does; 1 a bug.

`refldm COMMAND --help` explains a command and shows examples."""


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Only the options of the chosen command are imported, and not its work, so that help and errors come at once.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="refldm", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"refldm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=raw)
        if name == chosen:
            options = _import_options(name)
            command.description, _, examples = str(options.__doc__).partition("\n")
            command.epilog = examples.strip()
            options.add_arguments(command)
            command.add_argument("--quiet", action="store_true", help="print errors and results only")
            command.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
    return parser


def _import_options(name: str) -> Any:
    """Import the options of a command. `add_arguments(parser)` adds them, and the docstring is on the help page."""
    return import_module(f".arguments.{name.replace('-', '_')}", __package__)


def _import_work(name: str) -> Any:
    """Import the work of a command, which may take seconds. `run(args, output)` does it and returns the exit code."""
    return import_module(f".{name.replace('-', '_')}", __package__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments. None for the arguments of the process.

    Returns:
        The exit code.
    """
    escape_what_cannot_be_encoded()
    words = sys.argv[1:] if argv is None else argv
    try:
        args = build_parser(words[0] if words else None).parse_args(words)
        return _run(args, words)
    except BrokenPipeError:
        _drop_standard_output()
        return EXIT_PIPE_CLOSED


def _run(args: argparse.Namespace, words: Sequence[str]) -> int:
    output = Output(quiet=args.quiet, as_json=args.json)
    try:
        _require_names(words)
        with explained_memory_errors(Stage("go on")):  # for work to which the command gives no stage of its own
            code = _import_work(args.command).run(args, output)
        sys.stdout.flush()  # a closed pipe raises here
    except ReFLDMError as error:
        output.error(error)
        return EXIT_USER_ERROR
    except OSError as error:
        # Commands handle the errors that their work expects. The remaining case is a path that the system refuses.
        if error.filename is None:
            raise
        output.error(_refused(error))
        return EXIT_USER_ERROR
    except UnicodeEncodeError as error:
        character = error.object[error.start]
        if not "\ud800" <= character <= "\udfff":  # Python's substitutes for bytes of a file name that are no Unicode
            raise
        output.error(_not_unicode(error.object))
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("Interrupted. What was finished before is kept.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code


def _require_names(words: Sequence[str]) -> None:
    """Refuse words that cannot be a path or a value on any operating system.

    Raises:
        SettingsError: A word is empty, which `Path` would take for the current folder, or contains a NUL.
    """
    for previous, word in pairwise(("", *words)):
        if "\0" in word or not word.strip() or _NO_VALUE.fullmatch(word):
            raise SettingsError(
                f"{previous} {shorten(word)} cannot be used.".lstrip(),
                expected="a path or a value",
                remedy="check the words of the command, and the variables that a script puts into them",
            )


def _refused(error: OSError) -> ReFLDMError:
    return ReFLDMError(
        f"{shorten(error.filename, 200)} cannot be used ({error.strerror}).",
        expected="a path that the operating system accepts, to a file or folder that you have permission to use",
        remedy="check the path for typing mistakes and loops of links, and check the permissions",
    )


def _not_unicode(text: str) -> ReFLDMError:
    return ReFLDMError(
        f"{text[-200:]!a} contains a name that is not Unicode text.",
        expected="names of files and folders in UTF-8",
        remedy="rename the file or folder; convmv converts the names of many files",
    )


def _drop_standard_output() -> None:
    """Redirect standard output away from the closed pipe, because Python flushes it at exit and would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
