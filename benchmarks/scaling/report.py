"""The points that `benchmarks.scaling` measures, their Markdown and their plots."""

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
"""Axis -> what a reader calls it."""

_CURVES = {"step": "one guided step", "whole": "whole restoration"}


@dataclass(frozen=True)
class Point:
    """What is restored: `batch` faces of one person, `size` x `size` pixels each."""

    references: int
    steps: int
    batch: int
    size: int

    def at(self, axis: str, value: int) -> Point:
        """The point with one of its four numbers changed."""
        return replace(self, **{axis: value})

    def __str__(self) -> str:
        return f"{self.references} references, {self.steps} steps, {self.batch} faces of {self.size} px"


@dataclass
class Scaling:
    """What was measured.

    Attributes:
        settings: type, machine and the like, equal for all points.
        base: the point from which each axis starts.
        axes: axis -> its points, in order.
        measured: point -> seconds ("step", "encode_references", "restore", "whole") and bytes ("loaded_peak_bytes",
            "step_peak_bytes", "whole_peak_bytes"), and "failure" where something is missing.
    """

    settings: Mapping[str, str | int]
    base: Point
    axes: Mapping[str, list[Point]]
    measured: dict[Point, Values] = field(default_factory=dict)

    def points(self) -> list[Point]:
        """Each once: the base is on every axis."""
        return list(dict.fromkeys(point for points in self.axes.values() for point in points))

    def data(self) -> dict[str, Any]:
        """As JSON can say it."""
        points = [{"point": asdict(point), "values": values} for point, values in self.measured.items()]
        return {"settings": dict(self.settings), "points": points}


def render(scaling: Scaling) -> str:
    """The Markdown report."""
    settings, base = scaling.settings, scaling.base
    lines = [
        f"Random weights, {settings['dtype']}, DDIM, guidance 1.5; {base}, where a table does not say otherwise. "
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
            found = scaling.measured[point]
            cells = [_seconds(found, name) for name in ("step", "whole", "encode_references")]
            cells += [_gigabytes(found, name) for name in ("step_peak_bytes", "whole_peak_bytes")]
            if axis == "batch":
                cells += [_seconds(found, name, point.batch) for name in ("step", "whole")]
            failure = found.get("failure", "")
            lines.append(f"| {getattr(point, axis)} | " + " | ".join(cell or failure for cell in cells) + " |")
        if axis == "references":
            lines += ["", *_cost_of_a_reference(scaling, points)]
    return "\n".join(lines) + "\n"


def _cost_of_a_reference(scaling: Scaling, points: list[Point]) -> list[str]:
    first, last = points[0], points[-1]
    a, b = scaling.measured[first].get("step"), scaling.measured[last].get("step")
    head = f"Cost of a reference: a step with {last.references} references / a step with {first.references}"
    if a is None or b is None:
        return [f"{head}: not measured."]
    each = (b - a) / max(1, last.references - first.references)
    return [f"{head} = **{b / a:.3g}**; each one more adds {each:.3g} s, {each / a:.1%} of a step with the first."]


def _seconds(found: Values, name: str, faces: int = 1) -> str:
    """Empty where there is no value: what failed is written there."""
    return f"{found[name] / faces:.3g} s" if name in found else ""


def _gigabytes(found: Values, name: str) -> str:
    return f"{found[name] / 1e9:.3g} GB" if name in found else ""


def draw(scaling: Scaling) -> Figure:
    """A column for each axis: seconds above, peak memory below."""
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
    """The axis's values and what was measured there, where it was."""
    there = [point for point in scaling.axes[axis] if name in scaling.measured[point]]
    return [getattr(point, axis) for point in there], [scaling.measured[point][name] / unit for point in there]


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
