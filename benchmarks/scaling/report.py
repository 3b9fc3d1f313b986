"""The points that `benchmarks.scaling` measures, their Markdown report and their plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..common.fresh_process import Values

AXES: dict[str, str] = {
    "references": "references",
    "steps": "sampling steps",
    "batch": "faces at once",
    "size": "size of a face (px)",
}
"""Axis -> its label in tables and plots."""

_CURVES = {"step": "one guided step", "whole": "whole restoration"}


@dataclass(frozen=True)
class Point:
    """A workload: `batch` faces of one person, of `size` x `size` pixels each."""

    references: int
    steps: int
    batch: int
    size: int

    def at(self, axis: str, value: int) -> Point:
        """Return the point with the value of one axis changed."""
        return replace(self, **{axis: value})

    def __str__(self) -> str:
        return f"{self.references} references, {self.steps} steps, {self.batch} faces of {self.size} px"


@dataclass
class Scaling:
    """The measurements.

    Attributes:
        settings: number type, machine and the like, which all points share.
        base: the point that all axes vary.
        axes: axis -> its points, in order.
        measured: point -> seconds ("step", "encode_references", "restore", "whole") and bytes ("loaded_peak_bytes",
            "step_peak_bytes", "whole_peak_bytes"), and "failure" if something is missing.
    """

    settings: Mapping[str, str | int]
    base: Point
    axes: Mapping[str, list[Point]]
    measured: dict[Point, Values] = field(default_factory=dict)

    def points(self) -> list[Point]:
        """Return every point once; the base may be on several axes."""
        return list(dict.fromkeys(point for points in self.axes.values() for point in points))

    def data(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        points = [{"point": asdict(point), "values": values} for point, values in self.measured.items()]
        return {"settings": dict(self.settings), "points": points}


def render(scaling: Scaling) -> str:
    """Return the Markdown report."""
    settings, base = scaling.settings, scaling.base
    lines = [
        f"Random weights, {settings['dtype']}, DDIM, guidance 1.5, {settings.get('reference_tokens', 'all')} reference "
        f"tokens; {base}, where a table does not say otherwise. "
        f"Medians of {settings['repeats']} runs; peak memory of a process that did nothing else, the model included.",
        "",
        f"Machine: {settings['machine']}. torch {settings['torch']}.",
    ]
    for axis, points in scaling.axes.items():
        columns = ["a guided step", "whole", "of it the references", "peak memory, steps alone", "peak memory, whole"]
        if axis == "batch":
            columns += ["a step, a face", "whole, a face"]
        lines += ["", f"| {AXES[axis]} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for point in points:
            values = scaling.measured[point]
            cells = [_seconds(values, name) for name in ("step", "whole", "encode_references")]
            cells += [_gigabytes(values, name) for name in ("step_peak_bytes", "whole_peak_bytes")]
            if axis == "batch":
                cells += [_seconds(values, name, point.batch) for name in ("step", "whole")]
            failure = values.get("failure", "")
            lines.append(f"| {getattr(point, axis)} | " + " | ".join(cell or failure for cell in cells) + " |")
        if axis == "references":
            lines += ["", *_cost_of_a_reference(scaling, points)]
    return "\n".join(lines) + "\n"


def _cost_of_a_reference(scaling: Scaling, points: list[Point]) -> list[str]:
    """Compare a step with the most references to one with the fewest."""
    first, last = points[0], points[-1]
    a, b = scaling.measured[first].get("step"), scaling.measured[last].get("step")
    head = f"Cost of a reference: a step with {last.references} references / a step with {first.references}"
    if a is None or b is None:
        return [f"{head}: not measured."]
    cost = (b - a) / max(1, last.references - first.references)
    return [f"{head} = **{b / a:.3g}**; each one more adds {cost:.3g} s, {cost / a:.1%} of a step with the first."]


def _seconds(values: Values, name: str, faces: int = 1) -> str:
    """Format seconds per face; empty if there is no value, so that the failure can be written instead."""
    return f"{values[name] / faces:.3g} s" if name in values else ""


def _gigabytes(values: Values, name: str) -> str:
    return f"{values[name] / 1e9:.3g} GB" if name in values else ""


def draw(scaling: Scaling) -> Figure:
    """Draw a column of plots for each axis: seconds above, peak memory below."""
    columns = len(scaling.axes)
    figure = Figure(figsize=(3.4 * columns, 5.6), layout="constrained")
    plots = figure.subplots(2, columns, squeeze=False, sharey="row")
    for column, (axis, points) in enumerate(scaling.axes.items()):
        above, below = plots[0, column], plots[1, column]
        for curve, color in zip(_CURVES, ("#1f5fa8", "#c2571a"), strict=True):
            style: dict[str, Any] = {"marker": "o", "markersize": 4, "color": color, "label": _CURVES[curve]}
            above.plot(*_values(scaling, axis, curve, 1.0), **style)
            below.plot(*_values(scaling, axis, f"{curve}_peak_bytes", 1e9), **style)
        for plot in (above, below):
            _ticks(plot, scaling, axis, points)
    first, second = plots[0, 0], plots[1, 0]
    first.legend(fontsize=8)
    first.set_yscale("log")
    first.set_ylabel("seconds")
    second.set_ylabel("peak memory (GB)")
    second.set_ylim(0, 1.08 * second.get_ylim()[1])
    return figure


def _values(scaling: Scaling, axis: str, name: str, unit: float) -> tuple[list[int], list[float]]:
    """Return the values of the axis at which a measurement exists, and the measurements."""
    points = [point for point in scaling.axes[axis] if name in scaling.measured[point]]
    return [getattr(point, axis) for point in points], [scaling.measured[point][name] / unit for point in points]


def _ticks(plot: Axes, scaling: Scaling, axis: str, points: list[Point]) -> None:
    values = [getattr(point, axis) for point in points]
    plot.set_xscale("log", base=2)
    plot.set_xticks(values, [str(value) for value in values])
    plot.minorticks_off()
    plot.set_xlabel(AXES[axis], fontsize=9)
    plot.tick_params(labelsize=8)
    plot.grid(alpha=0.3)
    for point, value in zip(points, values, strict=True):
        if failure := scaling.measured[point].get("failure"):
            plot.axvline(value, color="#b00020", linestyle=":", linewidth=1)
            plot.text(value, 0.5, f" {failure}", transform=plot.get_xaxis_transform(), rotation=90, fontsize=7)
