"""Escape names from files and users for Markdown reports, so that they never become tags, links or pictures."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")  # includes all line ends
_BACKTICKS = re.compile(r"`+")


def as_text(value: str) -> str:
    """Return a text without HTML tags, links and line ends, for a paragraph or the cell of a table."""
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CONTROL.sub(" ", escaped).replace("](", "]\\(").replace("`", "\\`")


def as_code(value: str) -> str:
    """Return a name in a code span. The fence is longer than every run of backticks in the name."""
    plain = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(plain)), default=0) + 1)
    return f"{fence}{plain}{fence}" if len(fence) == 1 else f"{fence} {plain} {fence}"
