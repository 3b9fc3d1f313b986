"""Plots of the scores, as PNG files in memory."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .metric_list import METRICS
from .packages import require
from .report import heading
from .scores import VALUES, Row

_COLUMNS = 4


def spread_plot(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """Return box plots of each metric of single pictures, with a box for each method.

    A box shows the median and the quartiles. Its whiskers reach up to 1.5 times the distance of the quartiles.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    all_rows = [row for method_rows in rows.values() for row in method_rows]
    metrics = [metric for metric in VALUES if any(metric in row.values for row in all_rows)]
    lines = max(1, math.ceil(len(metrics) / _COLUMNS))
    columns = min(_COLUMNS, max(1, len(metrics)))
    figure = _figure(3.2 * columns, 2.6 * lines)
    for place, metric in enumerate(metrics, 1):
        axes = figure.add_subplot(lines, columns, place)
        axes.boxplot([_finite_values(method_rows, metric) for method_rows in rows.values()], widths=0.6)
        axes.set_xticks(range(1, len(rows) + 1), list(rows), rotation=20, fontsize=8)
        axes.set_title(heading(metric), fontsize=9)
    return _png(figure)


def share_plot(rows: Mapping[str, Sequence[Row]], metric: str) -> bytes:
    """Return a plot of the cumulative distribution of a metric for each method; errors as `spread_plot`."""
    figure = _figure(6.4, 3.2)
    axes = figure.add_subplot()
    for method, method_rows in rows.items():
        values = sorted(_finite_values(method_rows, metric))
        if values:
            axes.ecdf(values, label=method)
    axes.set_xlabel(METRICS[metric].label)
    axes.set_ylabel("share of the pictures below")
    axes.legend(fontsize=8)
    return _png(figure)


def _finite_values(rows: Sequence[Row], metric: str) -> list[float]:
    return [row.values[metric] for row in rows if math.isfinite(row.values.get(metric, math.nan))]


def _figure(width: float, height: float) -> Any:
    # pyplot would keep global state, and would look for a window system.
    return require("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
