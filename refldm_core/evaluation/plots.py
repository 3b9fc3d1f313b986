"""Plots of the scores, as PNG files in memory."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .metrics import METRICS
from .packages import require
from .report import heading
from .scores import VALUES, Row

_COLUMNS = 4


def spread_plot(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """A box of each method for each metric of single pictures: median, quartiles, 1.5 quartile distances, outliers.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    known = [m for m in VALUES if any(m in row.values for of in rows.values() for row in of)]
    lines = max(1, math.ceil(len(known) / _COLUMNS))
    figure = _figure(3.2 * min(_COLUMNS, max(1, len(known))), 2.6 * lines)
    for place, metric in enumerate(known, 1):
        axes = figure.add_subplot(lines, min(_COLUMNS, len(known)), place)
        axes.boxplot([_finite(of, metric) for of in rows.values()], widths=0.6)
        axes.set_xticks(range(1, len(rows) + 1), list(rows), rotation=20, fontsize=8)
        axes.set_title(heading(metric), fontsize=9)
    return _png(figure)


def share_plot(rows: Mapping[str, Sequence[Row]], metric: str) -> bytes:
    """For each method, which share of the pictures is below a value of a metric; errors as `spread_plot`."""
    figure = _figure(6.4, 3.2)
    axes = figure.add_subplot()
    for method, of in rows.items():
        values = sorted(_finite(of, metric))
        if values:
            axes.ecdf(values, label=method)
    axes.set_xlabel(METRICS[metric].label)
    axes.set_ylabel("share of the pictures below")
    axes.legend(fontsize=8)
    return _png(figure)


def _finite(rows: Sequence[Row], metric: str) -> list[float]:
    return [row.values[metric] for row in rows if math.isfinite(row.values.get(metric, math.nan))]


def _figure(width: float, height: float) -> Any:
    # Without pyplot: nothing global, and no window system is asked for.
    return require("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
