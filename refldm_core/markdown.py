"""Names from files and users in Markdown reports: shown as they are, never as tags, links or pictures of their own."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")  # also every end of a line
_TICKS = re.compile(r"`+")


def as_text(value: str) -> str:
    """A text without HTML tags, links and ends of lines, for a paragraph or the cell of a table."""
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CONTROL.sub(" ", escaped).replace("](", "]\\(").replace("`", "\\`")


def as_code(value: str) -> str:
    """A name in a code span, whose fence is longer than every run of backticks in it."""
    plain = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
    fence = "`" * (max((len(run) for run in _TICKS.findall(plain)), default=0) + 1)
    return f"{fence}{plain}{fence}" if len(fence) == 1 else f"{fence} {plain} {fence}"
