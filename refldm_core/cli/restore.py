"""The work of `refldm restore`. Its options are in `arguments/restore.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..model.compiling import is_compiled
from .output import Output
from .restoration_plan import Plan, plan_restoration
from .restoration_work import Networks, Outcome, load_networks, restore_jobs


def run(args: argparse.Namespace, output: Output) -> int:
    plan = plan_restoration(args, output)
    if not plan.jobs:
        output.result("Everything is done already.", {"restored": [], "failed": []})
        return 0
    networks = load_networks(args, output)
    outcome = restore_jobs(plan, networks, args, output)
    return _report(plan, networks, outcome, args, output)


def _report(plan: Plan, networks: Networks, outcome: Outcome, args: argparse.Namespace, output: Output) -> int:
    """Print the result, and return the exit code."""
    model, restorer = networks.model, networks.restorer
    output.result(
        "\n".join(_in_words(outcome)),
        {
            "restored": outcome.restored,
            "failed": outcome.failed,
            "warning": networks.warning,
            "references": {name: [str(path) for path in paths] for name, paths in plan.people.items()},
            "reference_encoding": args.reference_encoding,
            "preset": args.preset,
            "settings": {**plan.settings.as_json(), "seed": args.seed},
            "model": {"fingerprint": model.unet.fingerprint, "weights": model.weights},
            "dtype": str(restorer.dtype).removeprefix("torch."),
            "device": str(restorer.device),
            "compiled": is_compiled(restorer.unet),
        },
    )
    return 2 if outcome.failed else 0


def _in_words(outcome: Outcome) -> Iterator[str]:
    yield from (report["output"] for report in outcome.restored)
    if outcome.failed:
        yield f"{len(outcome.restored)} restored, {len(outcome.failed)} failed:"
        yield from (f"  {failure['input']}: {failure['problem']}" for failure in outcome.failed)
