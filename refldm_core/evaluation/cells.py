"""Text in CSV files: keep spreadsheets from computing a text as a formula.

A spreadsheet takes a cell that begins with = + - or @ for a formula.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def as_cell(text: str) -> str:
    """Return the text, after an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text whose cell `as_cell` made."""
    return cell[1:] if _ESCAPED.match(cell) else cell
