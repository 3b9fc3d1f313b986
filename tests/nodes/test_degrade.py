"""The help page of Degrade Faces agrees with the core."""

from __future__ import annotations

import re
from dataclasses import asdict

from .pack import PACK, load

RANGES = load("refldm_core.data.degradation").RANGES


def test_the_help_page_states_the_ranges() -> None:
    page = (PACK / "js" / "docs" / "ReFLDM_Degrade.md").read_text(encoding="utf-8")
    table = page[page.rindex("| | moderate") :].splitlines()
    assert [cell.strip() for cell in table[0].strip("|").split("|")[1:]] == list(RANGES)
    stated = [[tuple(map(float, pair)) for pair in re.findall(r"(\d+) to (\d+)", line)] for line in table[2:6]]
    assert stated == [
        list(parameter) for parameter in zip(*(asdict(ranges).values() for ranges in RANGES.values()), strict=True)
    ]
