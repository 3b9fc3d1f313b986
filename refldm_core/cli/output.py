"""What a command prints: results on standard output, everything else on standard error."""

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
    """Print characters that standard output's encoding lacks as escapes such as \\u65e5, instead of failing.

    Redirected output has a legacy code page on Windows, and file names may hold any character. Standard error does so
    in any case.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out.errors in ("strict", "surrogateescape"):
        out.reconfigure(errors="backslashreplace")


class Output:
    """Prints for one command.

    Args:
        quiet: no remarks and no progress bars.
        as_json: results and errors as one JSON object.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json

    def remark(self, text: str) -> None:
        """Something worth knowing that is no result."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def result(self, text: str, as_json: dict[str, Any]) -> None:
        """The result, in words and as data."""
        print(json.dumps(as_json, indent=2) if self.as_json else text)

    def error(self, error: ReFLDMError) -> None:
        if self.as_json:
            described = {"problem": error.problem, "expected": error.expected, "remedy": error.remedy}
            print(json.dumps({"error": {"kind": type(error).__name__, **described}}, indent=2))
        else:
            print(f"refldm: {error}", file=sys.stderr)

    def failure(self, what: str, error: ReFLDMError) -> None:
        """One of several pieces of work failed; the others go on."""
        print(f"refldm: {what}: {error.problem} Remedy: {error.remedy}", file=sys.stderr)

    def bar(self, label: str, total: int | None = None, **style: Any) -> tqdm[Any]:
        """A progress bar; nothing where standard error is no terminal."""
        return tqdm(desc=label, total=total, disable=True if self.quiet else None, leave=False, **style)

    @contextmanager
    def steps(self, label: str) -> Generator[OnStep, None, None]:
        """A progress bar of sampling steps, as the callback that moves it."""
        with self.bar(label, unit="step") as bar:

            def on_step(step: Step) -> None:
                bar.total = step.total
                bar.update(1)

            yield on_step

    def with_progress(self, items: Iterable[Item], label: str, total: int) -> Iterable[Item]:
        """The items, with a progress bar where there are several."""
        return tqdm(items, desc=label, total=total, disable=True if self.quiet or total < 2 else None)
