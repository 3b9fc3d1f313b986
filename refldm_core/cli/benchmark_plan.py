"""The plan of `refldm benchmark-table`: test set, degradations, ways of restoring, and conditions of the results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..checkpoints.building import LoadedModel
from ..checkpoints.download import sha256_of
from ..data.degradation import Kind
from ..errors import OutputError, SettingsError
from ..evaluation.benchmark import Arm, RestoreSettings, require_distinct_results
from ..evaluation.dataset import Finding, Target, find_targets, pictures_in
from ..files import atomic_write, require_regular
from ..model.fingerprint import fingerprint

DEGRADED = "degraded"
_SETTINGS = "benchmark.json"


@dataclass(frozen=True)
class Plan:
    """What is restored: the targets, in which degradations, and in which ways."""

    folder: Path
    kinds: Sequence[Kind]
    arms: Sequence[Arm]
    targets: Sequence[Target]
    findings: Sequence[Finding]
    references: Path
    others: Sequence[str]
    """Names of the pictures that are no targets."""
    low: Mapping[str, Path]
    """Degradation -> folder of degraded pictures that somebody gave."""

    def low_folder(self, kind: Kind) -> Path:
        return self.low.get(kind, self.folder / "low" / kind)

    def restored_folder(self, kind: Kind, arm: Arm) -> Path:
        return self.folder / "restored" / kind / arm.folder

    def methods(self, kind: Kind) -> dict[str, Path]:
        return {DEGRADED: self.low_folder(kind)} | {arm.label: self.restored_folder(kind, arm) for arm in self.arms}


def make_plan(args: argparse.Namespace, arms: Sequence[Arm], low: Mapping[str, Path]) -> Plan:
    rendered: Path = args.output / "rendered"
    folder, references = (rendered, rendered / "references.csv") if args.synthetic is not None else _dataset(args)
    targets, findings = find_targets(folder, references, args.people)
    require_distinct_results(targets[: args.limit])
    others = sorted(set(pictures_in(folder)) - {target.name for target in targets[: args.limit]})
    kinds: list[Kind] = [kind for kind in get_args(Kind) if kind in args.kinds]
    return Plan(args.output, kinds, arms, targets[: args.limit], findings, references, others, low)


def _dataset(args: argparse.Namespace) -> tuple[Path, Path]:
    if args.dataset is None or args.references is None:
        raise SettingsError(
            "There is no test set.",
            expected="--dataset FOLDER with --references CSV, or --synthetic N",
            remedy="name a folder of aligned faces and the CSV of their references",
        )
    return args.dataset, args.references


def parse_arms(args: argparse.Namespace) -> list[Arm]:
    counts = sorted(set(args.counts))
    if counts[0] < 0 or (args.limit is not None and args.limit < 1):
        raise SettingsError(
            "--counts and --limit cannot be below 0 and 1.",
            expected="numbers of references, such as --counts 0 1 5, and of faces",
            remedy="correct them",
        )
    return [Arm(count) for count in counts]


def parse_lq_folders(args: argparse.Namespace) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in args.low:
        kind, _, folder = word.partition("=")
        if kind not in args.kinds or not folder or kind in found:
            raise SettingsError(
                f"--low {word} cannot be used.",
                expected="KIND=FOLDER, each of " + ", ".join(args.kinds) + " once at most",
                remedy="correct --low, or leave it out to have the pictures degraded",
            )
        found[kind] = Path(folder)
    return found


def benchmark_conditions(
    plan: Plan, model: LoadedModel, settings: RestoreSettings, args: argparse.Namespace
) -> dict[str, Any]:
    """On what the results depend that may be there from earlier."""
    return {
        "model": model.unet.fingerprint,
        "first stage": fingerprint(model.first_stage.state_dict()),
        "type": str(next(model.unet.parameters()).dtype),
        "sampling": settings.sampling.as_json(),
        "seed": settings.seed,
        "reference encoding": settings.encoding,
        "compiled": args.compile,
        "degradation seed": args.degradation_seed,
        "references": sha256_of(plan.references),
        "degraded pictures": {kind: str(folder.resolve()) for kind, folder in plan.low.items()},
    }


def require_resume_or_overwrite(args: argparse.Namespace) -> None:
    """Raises: OutputError: results are there, and neither --resume nor --overwrite was said."""
    if (args.output / _SETTINGS).exists() and not (args.resume or args.overwrite):
        raise OutputError(
            f"{args.output} holds a benchmark already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --resume to go on with it, or --overwrite to begin again",
        )


def require_same_conditions(args: argparse.Namespace, about: dict[str, Any]) -> None:
    """Results of another model or other settings are not mixed with these; SettingsError where they would be."""
    path: Path = args.output / _SETTINGS
    if path.exists() and not args.overwrite:
        earlier = _read(path)
        other = [name for name, value in about.items() if earlier.get(name) != value]
        if other:
            raise SettingsError(
                f"{args.output} holds a benchmark with other {', '.join(other)}.",
                expected="the same model, dataset and settings as before",
                remedy="choose another --output, or add --overwrite instead of --resume",
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(require_regular(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}).",
            expected="what an earlier benchmark wrote",
            remedy="choose another --output, or add --overwrite instead of --resume",
        ) from error
