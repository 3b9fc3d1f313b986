"""The output of a command: results on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from ..errors import ReFLDMError

if TYPE_CHECKING:  # imports torch, for which `refldm --help` need not wait
    from ..progress import OnStep, Step

Item = TypeVar("Item")


def escape_what_cannot_be_encoded() -> None:
    """Print characters that the encoding of standard output lacks as escapes such as \\u65e5, instead of failing.

    On Windows, redirected output has a legacy code page, but file names may hold any character. Standard error prints
    escapes by default.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out.errors in ("strict", "surrogateescape"):
        out.reconfigure(errors="backslashreplace")


class Output:
    """Prints the results, remarks, errors and progress of one command.

    Args:
        quiet: Print no remarks and no progress bars.
        as_json: Print the result or the error as one JSON object.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json

    def remark(self, text: str) -> None:
        """Print a text that is worth knowing but no result."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def result(self, text: str, as_json: dict[str, Any]) -> None:
        """Print the result: `text` for people, or `as_json` with --json."""
        print(json.dumps(as_json, indent=2) if self.as_json else text)

    def error(self, error: ReFLDMError) -> None:
        """Print the error that ends the command."""
        if self.as_json:
            described = {"problem": error.problem, "expected": error.expected, "remedy": error.remedy}
            print(json.dumps({"error": {"kind": type(error).__name__, **described}}, indent=2))
        else:
            print(f"refldm: {error}", file=sys.stderr)

    def failure(self, item: str, error: ReFLDMError) -> None:
        """Print the error of one of several items. The command goes on with the next item."""
        print(f"refldm: {item}: {error.problem} Remedy: {error.remedy}", file=sys.stderr)

    def bar(self, label: str, total: int | None = None, **style: Any) -> tqdm[Any]:
        """Return a progress bar. It shows nothing where standard error is no terminal."""
        return tqdm(desc=label, total=total, disable=True if self.quiet else None, leave=False, **style)

    @contextmanager
    def steps(self, label: str) -> Generator[OnStep, None, None]:
        """Show a progress bar of sampling steps. Give the callback that moves it."""
        with self.bar(label, unit="step") as bar:

            def on_step(step: Step) -> None:
                bar.total = step.total
                bar.update(1)

            yield on_step

    def with_progress(self, items: Iterable[Item], label: str, total: int) -> Iterable[Item]:
        """Pass the items through. Show a progress bar where there are several."""
        return tqdm(items, desc=label, total=total, disable=True if self.quiet or total < 2 else None)
