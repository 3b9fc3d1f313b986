"""The numbers of the ReF-LDM paper (arXiv 2412.05043), to print beside your own, which come from other data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .identity import PUBLISHED_MEASURE
from .metrics import METRICS
from .report import Table, results_table
from .summary import Summary, columns


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


def benchmark_table(summaries: Mapping[str, Summary]) -> Table:
    """Return a table of the results for each degradation, each followed by the paper's row.

    The paper's IDS is left out where the recognizer measures similarity in another way than the paper does.

    Args:
        summaries: Degradation from `PUBLISHED` -> results. All results have the same metrics.
    """
    rows: list[list[str]] = []
    for kind, summary in summaries.items():
        heading, *results = results_table(summary)
        if not rows:
            rows.append(["degradation", *heading])
        rows += [[kind, *row] for row in results]
        values = dict(PUBLISHED[kind].values)
        if summary.measures.get("ids", PUBLISHED_MEASURE) != PUBLISHED_MEASURE:
            del values["ids"]
        cells = [
            f"{values[metric]:.{METRICS[metric].digits}f}" if metric in values else "" for metric in columns(summary)
        ]
        row = [kind, f"paper, on {PUBLISHED[kind].data}", "", "", *cells]
        rows.append(row + [""] * (len(rows[0]) - len(row)))
    return rows
