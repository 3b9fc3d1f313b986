"""The report of a soak, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .slopes import slope
from .soak_jobs import CHECKPOINTS, KINDS

if TYPE_CHECKING:
    from .soak import Outcome


def report(outcome: Outcome, stats: dict[str, Any], *, prompts: int, seed: int) -> str:
    """Return the report.

    Args:
        outcome: What the soak saw.
        stats: The host's versions, from /system_stats.
        prompts, seed: Arguments of the soak.
    """
    repeated = sum(len(digests) for digests in outcome.digests.values())
    ends, interrupted = outcome.ends, outcome.ends["interrupted"]
    lines = [
        "# Soak",
        "",
        f"`python -m tests.host.soak --prompts {prompts} --host {stats['comfyui_version']} --seed {seed}`: two clients",
        "send mixed workflows to one server at the same time, with tiny models on a CPU. They switch between "
        f"{len(CHECKPOINTS)} model",
        "files, and interrupt about every tenth prompt at a random moment.",
        "",
        f"ComfyUI {stats['comfyui_version']}, PyTorch {stats['pytorch_version']}, "
        f"Python {stats['python_version'].split()[0]}. The prompts took {outcome.seconds / 60:.1f} minutes,",
        f"{outcome.seconds / max(1, prompts):.2f} seconds each, on a machine with other work.",
        "",
        "| | |",
        "|---|---|",
        f"| succeeded | {ends['success']} |",
        f"| interrupted | {interrupted} of {outcome.asked} that a client interrupted; the others had just ended |",
        f"| failed | {ends['error']} |",
        f"| other faults | {len(outcome.faults) - ends['error']} |",
        f"| different prompts | {len(outcome.digests)}, run {repeated} times (warm-up included) |",
        f"| different prompts with unequal hashes | {len(outcome.unequal)} |",
        "",
        "Slopes are by ordinary least squares over the prompts after the warm-up. The 95% intervals allow for the",
        "correlation of neighbors by their effective number (Santer et al. 2000; `tests/host/slopes.py`).",
        "",
        "| after each prompt | first | last | slope a prompt | 95% interval | correlation of neighbors |",
        "|---|---|---|---|---|---|",
        *(_series_row(name, values) for name, values in outcome.series.items()),
        "",
        "Objects that are alive once the host has been asked to free its memory:",
        "",
        "| | models | VAEs | reference sets | tensors |",
        "|---|---|---|---|---|",
        *(
            f"| {moment} | {alive['models']} | {alive['vaes']} | {alive['kv']} | {alive['tensors']} |"
            for moment, alive in zip(("after the warm-up", "at the end"), outcome.alive, strict=True)
        ),
        "",
        "| workflow | succeeded | different prompts |",
        "|---|---|---|",
        *(_kind_row(outcome, kind) for kind in KINDS),
        "",
        *(["Faults:", "", *(f"- {fault}" for fault in outcome.faults), ""] if outcome.faults else []),
    ]
    return "\n".join(lines)


def _series_row(name: str, values: list[float]) -> str:
    label = {"MiB": "resident memory, MiB", "files": "open files", "threads": "threads"}[name]
    estimate = slope(values)
    cells = [
        *(label, f"{values[0]:.0f}", f"{values[-1]:.0f}", f"{estimate.value:+.4f}"),
        *(f"{estimate.low:+.4f} to {estimate.high:+.4f}", f"{estimate.correlation:.2f}"),
    ]
    return f"| {' | '.join(cells)} |"


def _kind_row(outcome: Outcome, kind: str) -> str:
    digests = [digests for job, digests in outcome.digests.items() if job.kind == kind]
    return f"| {kind} | {sum(len(group) for group in digests)} | {len(digests)} |"
