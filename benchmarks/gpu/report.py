"""The Markdown report of `benchmarks.gpu`: its measurements beside the targets and the predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..common.fresh_process import Values

NAMES = {"eager": "eager", "default": "compiled", "reduce-overhead": "CUDA graphs (reduce-overhead)"}


class Target(NamedTuple):
    """The target of a figure: at most, or at least, a limit."""

    limit: float
    at_most: bool
    words: str

    def verdict(self, value: float) -> str:
        met = value <= self.limit if self.at_most else value >= self.limit
        return "met" if met else "missed"


class Predictions(NamedTuple):
    """What the simulated GPU predicts.

    Attributes:
        peak_bytes: peak memory of one face and its references.
        batch_peak_bytes: peak memory with several faces at once.
        waits: how often the CPU waits for the GPU in the sampling steps after the first.
    """

    peak_bytes: int
    batch_peak_bytes: int
    waits: int = 0


ONE_FACE = Target(0.35, True, "at most 0.35 s (50 steps, 4 references)")
BATCH = Target(3.0, False, "at least 3 (8 faces)")
REFERENCE = Target(1.2, True, "at most 1.20")


def render(
    measured: Mapping[str, Values],
    steps: int,
    references: int,
    batch: int,
    description: list[str],
    *,
    predictions: Predictions,
    judged: bool,
) -> str:
    """Return the Markdown report.

    Args:
        measured: mode -> values of `benchmarks.gpu.benchmark.measure`.
        steps, references, batch: the workload. Only figures whose target is for this workload get a verdict.
        description: paragraphs at the head of the report.
        predictions: what the simulated GPU predicts for the workload.
        judged: whether the targets apply: the released architecture was measured on a GPU.
    """

    def row(
        head: str,
        value: Callable[[Values], float],
        form: str,
        target: Target | None = None,
        predicted: float | None = None,
    ) -> str:
        cells = [target.words if target else "", "" if predicted is None else form.format(predicted)]
        for values in measured.values():
            try:
                figure = value(values)
            except (KeyError, TypeError):
                cells.append(values.get("failure", "not measured"))
                continue
            cells.append(form.format(figure) + (f" ({target.verdict(figure)})" if target else ""))
        return f"| {head} | " + " | ".join(cells) + " |"

    one_face = ONE_FACE if judged and (steps, references) == (50, 4) else None
    at_once = BATCH if judged and batch == 8 else None
    reference = REFERENCE if judged else None
    lines = [
        *[line for paragraph in description for line in (paragraph, "")],
        "| | target | predicted | " + " | ".join(NAMES[mode] for mode in measured) + " |",
        "|---" * (len(measured) + 3) + "|",
        row("one face, references encoded before", lambda v: v["one"], "{:.3f} s", one_face),
        row("encoding the references", lambda v: v["encode_references"], "{:.3f} s"),
        row(f"{batch} faces at once", lambda v: v["batch"], "{:.3f} s"),
        row(f"throughput, {batch} at once / one by one", lambda v: batch * v["one"] / v["batch"], "{:.2f}", at_once),
        row("a step, 1 reference", lambda v: v["steps"]["1"] * 1e3, "{:.2f} ms"),
        row("a step, 8 references", lambda v: v["steps"]["8"] * 1e3, "{:.2f} ms"),
        row("a step, 8 references / 1", lambda v: v["steps"]["8"] / v["steps"]["1"], "{:.3f}", reference),
        row("first face in a new process", lambda v: v["first"], "{:.1f} s"),
        row("the same, with the compiler's files of an earlier process", lambda v: v["first_again"], "{:.1f} s"),
        row("waits for the GPU in the sampling steps", lambda v: v["waits"], "{}", predicted=predictions.waits),
        row(
            "peak memory, one face and its references",
            lambda v: v["peak_bytes"] / 1e9,
            "{:.2f} GB",
            predicted=predictions.peak_bytes / 1e9,
        ),
        row(
            f"peak memory, with {batch} faces at once",
            lambda v: v["batch_peak_bytes"] / 1e9,
            "{:.2f} GB",
            predicted=predictions.batch_peak_bytes / 1e9,
        ),
    ]
    return "\n".join(lines) + "\n"
