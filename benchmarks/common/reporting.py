"""How every benchmark ends: its report written and shown, or what is wrong said in one piece."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from refldm_core.cli.output import escape_what_cannot_be_encoded
from refldm_core.errors import ReFLDMError
from refldm_core.files import atomic_write, require_writable


def run_and_report(make: Callable[[], str], output: Path | None, *others: Path | None) -> int:
    """Make a Markdown report, write it and print it.

    Args:
        make: does the work; it may raise `ReFLDMError`.
        output: file of the report, or None.
        others: further files that `make` writes, or None. What cannot be written is found before the long work.

    Returns:
        The exit code: 2 where something must be mended, which is then told.
    """
    escape_what_cannot_be_encoded()
    try:
        for path in (output, *others):
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
    """Replace a file.

    Raises:
        OutputError: it cannot be written; it is then as it was before.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
