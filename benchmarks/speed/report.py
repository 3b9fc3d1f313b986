"""What `benchmarks.speed` measured, joined over its rounds, and the Markdown of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]
"""A restored picture in gray levels: (h, w, 3) in 0..255, clamped, not rounded."""


@dataclass(frozen=True)
class Measured:
    """One variant.

    Attributes:
        dtype: number type of the networks.
        crop_size: height and width of the face, in pixels.
        steps: of the sampler in `whole`.
        flops: stage -> floating-point operations.
        seconds: stage -> seconds of each run.
        whole: seconds of each restoration from pictures to picture.
        peak_bytes: largest memory of a process up to then.
        peak_flops: most operations a second that the machine reached in this type, besides.
    """

    dtype: str
    crop_size: int
    steps: int
    flops: dict[str, int]
    seconds: dict[str, list[float]]
    whole: list[float]
    peak_bytes: int
    peak_flops: float

    def joined(self, later: Measured) -> Measured:
        """With a later round of the same variant."""
        return Measured(
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
        return sum(count * (self.steps if stage == "step" else 1) for stage, count in self.flops.items())


def render(measured: Mapping[str, Measured], levels: Mapping[str, Levels], about: list[str]) -> str:
    """The Markdown report.

    Args:
        measured, levels: variant -> what was measured of it, and what it restored; the first is the baseline.
        about: paragraphs on what was measured on what.
    """
    # Variants of one type share the machine's peak: what the others' processes reached counts as well.
    peaks: dict[str, float] = {}
    for of in measured.values():
        peaks[of.dtype] = max(peaks.get(of.dtype, 0.0), of.peak_flops)
    baseline = next(iter(measured.values()))

    def reached(flops: float, seconds: float, dtype: str) -> str:
        return f"{flops / seconds / 1e12:.3g} TFLOP/s ({flops / seconds / peaks[dtype]:.0%})"

    def row(head: str, cell: Callable[[Measured], str]) -> str:
        return _row(head, [cell(of) for of in measured.values()])

    def of_stage(stage: str) -> Callable[[Measured], str]:
        return lambda of: f"{statistics.median(of.seconds[stage]):.3g} s ({of.flops[stage] / 1e12:.3g} TFLOP)"

    def rate_of_stage(stage: str) -> Callable[[Measured], str]:
        return lambda of: reached(of.flops[stage], statistics.median(of.seconds[stage]), of.dtype)

    lines = [
        *[line for paragraph in about for line in (paragraph, "")],
        *_heading("", measured),
        *[row(stage, of_stage(stage)) for stage in baseline.seconds],
        row("**whole**", lambda of: f"**{statistics.median(of.whole):.4g} s**"),
        row("whole, fastest and slowest", lambda of: f"{min(of.whole):.4g} to {max(of.whole):.4g} s"),
        row("times as fast", lambda of: f"{statistics.median(baseline.whole) / statistics.median(of.whole):.2f}"),
        row("operations", lambda of: f"{of.whole_flops / 1e12:.3g} TFLOP"),
        row("peak memory", lambda of: f"{of.peak_bytes / 1e9:.2f} GB"),
        "",
        "Operations a second, and their share of the most that large convolutions and matrix products in the same type "
        "reached in the same processes: "
        + ", ".join(f"{dtype} {r / 1e12:.3g} TFLOP/s" for dtype, r in peaks.items())
        # So that nobody reads a share of such as idle time.
        + ". Only matrix products, convolutions and attention are counted: normalization and the like take time and "
        "count nothing.",
        "",
        *_heading("", measured),
        *[row(stage, rate_of_stage(stage)) for stage in baseline.seconds],
        row("**whole**", lambda of: f"**{reached(of.whole_flops, statistics.median(of.whole), of.dtype)}**"),
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
    """Mean and largest absolute difference."""
    apart = np.abs(a.astype(np.float64) - b)
    return f"{apart.mean():.3g}, {apart.max():.3g}"


def _heading(first: str, names: Mapping[str, object]) -> list[str]:
    return [_row(first, list(names)), "|---" * (len(names) + 1) + "|"]


def _row(head: str, cells: list[str]) -> str:
    return f"| {head} | " + " | ".join(cells) + " |"
