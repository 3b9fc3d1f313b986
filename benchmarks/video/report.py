"""The report of the video benchmark."""

from __future__ import annotations

from statistics import median
from typing import Any

from refldm_core.evaluation.statistics import Estimate, difference, estimate

from .modes import COPY, DEGRADED

Values = dict[str, float]
"""Metric -> value of one clip."""

BASELINE = "new noise"
METRICS: dict[str, tuple[str, int]] = {
    "deviation": ("deviation", 2),
    "excess_warping_error": ("excess warping error", 2),
    "identity_drift": ("identity drift", 4),
    "likeness": ("likeness", 3),
    "psnr": ("PSNR (dB)", 2),
    "sharpness": ("sharpness", 2),
}
"""Metric -> heading, and digits after the decimal point."""


def describe(run: dict[str, Any]) -> str:
    """Return the Markdown report: a table for each degradation, with means over people and their standard errors."""
    about, people = run["about"], run["people"]
    sampling = about["sampling"]
    lines = [
        "# Flicker of restored videos",
        "",
        f"{len(people)} rendered people whom no model has seen, clips of {about['frames']} frames, 3 references, the "
        f"embedded models, {sampling['steps']} {sampling['sampler']} steps. Means over people ± their standard error. "
        "Deviation and warping error are in gray levels, and 0 is the truth's. `refldm_core/evaluation/flicker.py` "
        f"defines them. Machine: {run['machine']}, which did other work too, so the seconds are rough medians.",
    ]
    for kind in next(iter(people.values())):
        clips = [scores[kind] for scores in people.values()]
        detected_share = estimate([clip[BASELINE]["detected_share"] for clip in clips]).mean
        lines += [
            "",
            f"## {kind.capitalize()} degradation",
            "",
            f"The face was found in {detected_share:.0%} of the frames.",
            "",
        ]
        headings = [heading for heading, _ in METRICS.values()]
        lines.append(f"| mode | {' | '.join(headings)} | likeness difference | seconds a frame |")
        lines.append("|---" * (len(METRICS) + 3) + "|")
        lines += [_row(name, clips) for name in clips[0]]
    return "\n".join(lines) + "\n"


def _row(name: str, clips: list[dict[str, Values]]) -> str:
    cells = [_cell(estimate([clip[name][metric] for clip in clips]), digits) for metric, (_, digits) in METRICS.items()]
    gain = difference([clip[name]["likeness"] for clip in clips], [clip[BASELINE]["likeness"] for clip in clips])
    compared = "" if name in (BASELINE, DEGRADED, COPY) else f"{gain.mean:+.3f} ± {gain.error:.3f}"
    seconds = median(clip[name]["seconds"] for clip in clips)
    return f"| {name} | {' | '.join(cells)} | {compared} | {f'{seconds:.2f}' if seconds else ''} |"


def _cell(value: Estimate, digits: int) -> str:
    return f"{value.mean:.{digits}f} ± {value.error:.{digits}f}"
