"""`refldm`: the commands, and what they have in common."""

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
    "inspect": "say what a model file is",
    "degrade": "make low-quality versions of good pictures",
    "evaluate": "judge restored faces against the true ones, and compare methods",
    "benchmark-table": "restore and judge a test set: the rows of the paper's table",
    "dataset": "build a dataset from photos, or check FFHQ-Ref",
    "synthesize": "render pictures of people who do not exist",
    "train": "train a model, on rendered people or on a folder of faces",
    "convert": "write a model as one .safetensors file",
    "download": "download the official model files",
    "comfyui": "link the nodes into an existing ComfyUI",
    "demo": "see everything at work in a minute, on photos that come along",
}
"""Name of the command -> summary. Its module has the same name, with underscores."""

EXIT_USER_ERROR = 2
"""argparse uses the same for arguments that it cannot read."""
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
"""As of a program that SIGPIPE ends: whoever read the output, such as `head`, has closed it."""

_NO_VALUE = re.compile(r"--[\w-]+=\s*")

_DESCRIPTION = "Restore a low-quality face to that person's own likeness, guided by good photos of them (ReF-LDM)."
_EPILOG = """\
exit codes: 0 done; 2 something in the input must be mended (the message says what); 130 interrupted; 141 the reader
of the output closed it, as `head` does; 1 a bug.

`refldm COMMAND --help` explains a command and shows examples."""


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The whole parser; only the chosen command's module is imported, so that `refldm --help` answers at once."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="refldm", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"refldm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=raw)
        if name == chosen:
            module = _module(name)
            command.description, _, examples = str(module.__doc__).partition("\n")
            command.epilog = examples.strip()
            module.add_arguments(command)
            command.add_argument("--quiet", action="store_true", help="say nothing but errors and results")
            command.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
    return parser


def _module(name: str) -> Any:
    """A command's module: `add_arguments(parser)` and `run(args, output)`, which returns the exit code."""
    return import_module(f".{name.replace('-', '_')}", __package__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes the process's own.

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
        with explained_memory_errors(Stage("go on")):  # where a command does not say more itself
            code = _module(args.command).run(args, output)
        sys.stdout.flush()  # a closed pipe shows here
    except ReFLDMError as error:
        output.error(error)
        return EXIT_USER_ERROR
    except OSError as error:
        # A command explains what its work can meet; what is left is a path that the operating system refuses.
        if error.filename is None:
            raise
        output.error(_refused(error))
        return EXIT_USER_ERROR
    except UnicodeEncodeError as error:
        character = error.object[error.start]
        if not "\ud800" <= character <= "\udfff":  # how Python writes what is not Unicode in a file's name
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
        SettingsError: an empty word, which `Path` would take for the folder that the command runs in; or a NUL.
    """
    for before, word in pairwise(("", *words)):
        if "\0" in word or not word.strip() or _NO_VALUE.fullmatch(word):
            raise SettingsError(
                f"{before} {shorten(word)} cannot be used.".lstrip(),
                expected="a path or a value",
                remedy="check the words of the command, and the variables that a script puts into them",
            )


def _refused(error: OSError) -> ReFLDMError:
    return ReFLDMError(
        f"{shorten(error.filename, 200)} cannot be used ({error.strerror}).",
        expected="a path that the operating system takes, to a file or folder that may be used",
        remedy="check the path for typing mistakes and loops of links, and the permissions",
    )


def _not_unicode(text: str) -> ReFLDMError:
    return ReFLDMError(
        f"{text[-200:]!a} holds a name that is not Unicode text.",
        expected="names of files and folders in UTF-8",
        remedy="rename the file or folder; convmv converts the names of many files",
    )


def _drop_standard_output() -> None:
    """Let nothing more be written to a closed pipe, as Python would do when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
