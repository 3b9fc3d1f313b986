"""How every benchmark ends: it writes and prints its report, or it prints one error message."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from refldm_core.cli.output import escape_what_cannot_be_encoded
from refldm_core.errors import ReFLDMError
from refldm_core.files import atomic_write, require_writable


def run_and_report(make: Callable[[], str], output: Path | None, *other_files: Path | None) -> int:
    """Make a Markdown report, write it and print it.

    Args:
        make: function that does the work and returns the report; it may raise `ReFLDMError`.
        output: file of the report, or None.
        other_files: further files that `make` writes, or None. All files are checked before the long work starts.

    Returns:
        The exit code: 0, or 2 after an error message.
    """
    escape_what_cannot_be_encoded()
    try:
        for path in (output, *other_files):
            if path is not None:
                require_writable(path)
        report = make()
        if output is not None:
            write(output, report)
    except ReFLDMError as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    return 0


def write(path: Path, text: str) -> None:
    """Write a file, or replace it.

    Raises:
        OutputError: the file cannot be written. It is then unchanged.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
