"""The numbers of the ReF-LDM paper (arXiv 2412.05043), to print beside your own, which come from other data.

This module imports no library, so that the command line shows the degradations at once.
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A row of the paper's tables: ReF-LDM with up to 5 references and 100 steps of uniform spacing."""

    data: str
    values: dict[str, float]


PUBLISHED: dict[str, Published] = {
    "moderate": Published("FFHQ-Ref", {"ids": 0.840, "lpips": 0.332, "fid": 33.05}),
    "severe": Published("FFHQ-Ref", {"ids": 0.676, "lpips": 0.429, "fid": 37.60}),
}
"""Degradation -> row of the paper."""

CAVEAT = (
    "The rows of the paper are ReF-LDM's on its own data (arXiv 2412.05043): other pictures, another number of them, "
    "and perhaps another recognizer. They are no yardstick for other data."
)
