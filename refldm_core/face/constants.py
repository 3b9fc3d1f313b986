"""Names and numbers that the options of commands show.

This module imports no library, so that the command line shows them at once.
"""

from __future__ import annotations

from typing import Literal

ParserKind = Literal["parsenet", "bisenet"]

FFHQ_SIZE = 512
"""Pixels along a side of the aligned FFHQ crops."""

SAME_PERSON = 0.35
"""Cosine similarity above which two photos usually show one person, for insightface's published recognizers. Degraded
faces score lower than sharp ones. Where everybody in the picture is known, 0.25 to 0.3 is enough."""
