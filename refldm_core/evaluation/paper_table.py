"""The table of results for each degradation, beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping

from .identity import PUBLISHED_MEASURE
from .metric_list import METRICS
from .published import PUBLISHED
from .report import Table, results_table
from .summary import Summary, columns


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
