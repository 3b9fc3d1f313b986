"""The measurements of `benchmarks.speed`, merged over its rounds, and their Markdown report."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]
"""A restored picture in gray levels: (h, w, 3) in 0..255, clamped, not rounded."""


@dataclass(frozen=True)
class VariantResult:
    """The measurements of one variant.

    Attributes:
        dtype: number type of the networks.
        crop_size: height and width of the face, in pixels.
        steps: sampling steps of a whole restoration.
        flops: stage -> floating-point operations.
        seconds: stage -> seconds of each run.
        whole: seconds of each whole restoration, from the pictures to the restored picture.
        peak_bytes: peak memory of a process until the end of its restoration.
        peak_flops: highest rate of the machine in this number type, in operations per second.
    """

    dtype: str
    crop_size: int
    steps: int
    flops: dict[str, int]
    seconds: dict[str, list[float]]
    whole: list[float]
    peak_bytes: int
    peak_flops: float

    def merged(self, later: VariantResult) -> VariantResult:
        """Merge with a later round of the same variant."""
        return VariantResult(
            self.dtype,
            self.crop_size,
            self.steps,
            self.flops,
            {stage: seconds + later.seconds[stage] for stage, seconds in self.seconds.items()},
            self.whole + later.whole,
            max(self.peak_bytes, later.peak_bytes),
            max(self.peak_flops, later.peak_flops),
        )

    @property
    def whole_flops(self) -> int:
        """Operations of a whole restoration."""
        return sum(count * (self.steps if stage == "step" else 1) for stage, count in self.flops.items())


def render(results: Mapping[str, VariantResult], levels: Mapping[str, Levels], description: list[str]) -> str:
    """Return the Markdown report.

    Args:
        results: variant -> its measurements. The first variant is the baseline.
        levels: variant -> the picture that it restored.
        description: paragraphs at the head of the report.
    """
    # Variants of one number type share the machine's peak rate: the highest that any of their processes reached.
    peaks: dict[str, float] = {}
    for result in results.values():
        peaks[result.dtype] = max(peaks.get(result.dtype, 0.0), result.peak_flops)
    baseline = next(iter(results.values()))

    def rate(flops: float, seconds: float, dtype: str) -> str:
        return f"{flops / seconds / 1e12:.3g} TFLOP/s ({flops / seconds / peaks[dtype]:.0%})"

    def row(head: str, cell: Callable[[VariantResult], str]) -> str:
        return _row(head, [cell(result) for result in results.values()])

    def stage_time(stage: str) -> Callable[[VariantResult], str]:
        return lambda result: (
            f"{statistics.median(result.seconds[stage]):.3g} s ({result.flops[stage] / 1e12:.3g} TFLOP)"
        )

    def stage_rate(stage: str) -> Callable[[VariantResult], str]:
        return lambda result: rate(result.flops[stage], statistics.median(result.seconds[stage]), result.dtype)

    lines = [
        *[line for paragraph in description for line in (paragraph, "")],
        *_heading("", results),
        *[row(stage, stage_time(stage)) for stage in baseline.seconds],
        row("**whole**", lambda result: f"**{statistics.median(result.whole):.4g} s**"),
        row("whole, fastest and slowest", lambda result: f"{min(result.whole):.4g} to {max(result.whole):.4g} s"),
        row(
            "times as fast", lambda result: f"{statistics.median(baseline.whole) / statistics.median(result.whole):.2f}"
        ),
        row("operations", lambda result: f"{result.whole_flops / 1e12:.3g} TFLOP"),
        row("peak memory", lambda result: f"{result.peak_bytes / 1e9:.2f} GB"),
        "",
        "Operations a second, and their share of the most that large convolutions and matrix products in the same type "
        "reached in the same processes: "
        + ", ".join(f"{dtype} {r / 1e12:.3g} TFLOP/s" for dtype, r in peaks.items())
        # Without this sentence, readers would take a low share for idle time.
        + ". Only matrix products, convolutions and attention are counted: normalization and the like take time and "
        "count nothing.",
        "",
        *_heading("", results),
        *[row(stage, stage_rate(stage)) for stage in baseline.seconds],
        row(
            "**whole**", lambda result: f"**{rate(result.whole_flops, statistics.median(result.whole), result.dtype)}**"
        ),
        "",
        "Differences of the restored pictures, from the same noise, in gray levels (0 to 255, not rounded), mean and "
        "largest:",
        "",
        *_heading("from", levels),
        *[
            _row(name, ["" if other is picture else difference(other, picture) for other in levels.values()])
            for name, picture in list(levels.items())[:2]
        ],
    ]
    return "\n".join(lines) + "\n"


def difference(a: Levels, b: Levels) -> str:
    """Return the mean and the largest absolute difference, as text."""
    differences = np.abs(a.astype(np.float64) - b)
    return f"{differences.mean():.3g}, {differences.max():.3g}"


def _heading(first: str, names: Mapping[str, object]) -> list[str]:
    return [_row(first, list(names)), "|---" * (len(names) + 1) + "|"]


def _row(head: str, cells: list[str]) -> str:
    return f"| {head} | " + " | ".join(cells) + " |"
