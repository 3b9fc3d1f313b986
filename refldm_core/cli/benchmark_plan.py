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
    """The test set of a benchmark, and how it is degraded and restored.

    Attributes:
        folder: Folder of everything that the command writes.
        kinds: Degradations, in the order of `Kind`.
        arms: Ways of restoring, the fewest references first.
        targets: Pictures to degrade and restore.
        findings: Facts about the test set that the report names.
        references: CSV of the references.
        other_pictures: Names of the pictures of the test set that are not targets.
        lq_folders: Degradation -> folder of degraded pictures that the user named.
    """

    folder: Path
    kinds: Sequence[Kind]
    arms: Sequence[Arm]
    targets: Sequence[Target]
    findings: Sequence[Finding]
    references: Path
    other_pictures: Sequence[str]
    lq_folders: Mapping[str, Path]

    def lq_folder(self, kind: Kind) -> Path:
        """Return the folder of the degraded pictures: the user's, or one below `folder`."""
        return self.lq_folders.get(kind, self.folder / "low" / kind)

    def restored_folder(self, kind: Kind, arm: Arm) -> Path:
        return self.folder / "restored" / kind / arm.folder

    def methods(self, kind: Kind) -> dict[str, Path]:
        """Return the methods to judge: name -> folder of the pictures. The degraded pictures come first."""
        return {DEGRADED: self.lq_folder(kind)} | {arm.label: self.restored_folder(kind, arm) for arm in self.arms}


def make_plan(args: argparse.Namespace, arms: Sequence[Arm], lq_folders: Mapping[str, Path]) -> Plan:
    """Find the targets and their references.

    Args:
        args: Arguments of the command. With --synthetic, the people must be rendered already.
        arms: Result of `parse_arms`.
        lq_folders: Result of `parse_lq_folders`.

    Raises:
        SettingsError: No test set was named, or two targets would have the same result file.
        DataError: The folder or a CSV of the test set cannot be used.
    """
    rendered: Path = args.output / "rendered"
    folder, references = (rendered, rendered / "references.csv") if args.synthetic is not None else _dataset(args)
    targets, findings = find_targets(folder, references, args.people)
    targets = targets[: args.limit]
    require_distinct_results(targets)
    other_pictures = sorted(set(pictures_in(folder)) - {target.name for target in targets})
    kinds: list[Kind] = [kind for kind in get_args(Kind) if kind in args.kinds]
    return Plan(args.output, kinds, arms, targets, findings, references, other_pictures, lq_folders)


def _dataset(args: argparse.Namespace) -> tuple[Path, Path]:
    if args.dataset is None or args.references is None:
        raise SettingsError(
            "No test set was named.",
            expected="--dataset FOLDER with --references CSV, or --synthetic N",
            remedy="name a folder of aligned faces and the CSV of their references",
        )
    return args.dataset, args.references


def parse_arms(args: argparse.Namespace) -> list[Arm]:
    """Return the ways of restoring that --counts names, the fewest references first.

    Raises:
        SettingsError: A count is below 0, or --limit is below 1.
    """
    counts = sorted(set(args.counts))
    if counts[0] < 0 or (args.limit is not None and args.limit < 1):
        raise SettingsError(
            "--counts is below 0, or --limit is below 1.",
            expected="numbers of references, such as --counts 0 1 5, and a number of faces, such as --limit 100",
            remedy="correct --counts or --limit",
        )
    return [Arm(count) for count in counts]


def parse_lq_folders(args: argparse.Namespace) -> dict[str, Path]:
    """Return the folders of degraded pictures that --low names, by degradation.

    Raises:
        SettingsError: A word has another form, or names a degradation that is not restored or has a folder already.
    """
    folders: dict[str, Path] = {}
    for word in args.low:
        kind, _, folder = word.partition("=")
        if kind not in args.kinds or not folder or kind in folders:
            raise SettingsError(
                f"--low {word} cannot be used.",
                expected="KIND=FOLDER, with KIND one of " + ", ".join(args.kinds) + ", each at most once",
                remedy="correct --low, or leave it out so that the command degrades the pictures",
            )
        folders[kind] = Path(folder)
    return folders


def benchmark_conditions(
    plan: Plan, model: LoadedModel, settings: RestoreSettings, args: argparse.Namespace
) -> dict[str, Any]:
    """Return all that the restored pictures depend on, as JSON values. A resumed run must have equal conditions."""
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
        "degraded pictures": {kind: str(folder.resolve()) for kind, folder in plan.lq_folders.items()},
    }


def require_resume_or_overwrite(args: argparse.Namespace) -> None:
    """Raise an OutputError if the folder holds results, and neither --resume nor --overwrite was given."""
    if (args.output / _SETTINGS).exists() and not (args.resume or args.overwrite):
        raise OutputError(
            f"{args.output} holds a benchmark already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --resume to go on with it, or --overwrite to begin again",
        )


def require_same_conditions(args: argparse.Namespace, conditions: dict[str, Any]) -> None:
    """Compare the conditions with those of earlier results in the folder, or write them for a later run.

    Raises:
        SettingsError: Earlier results belong to another model or other settings, and must not be mixed with new ones.
        OutputError: The file of the conditions cannot be read or written.
    """
    path: Path = args.output / _SETTINGS
    if path.exists() and not args.overwrite:
        earlier = _read_conditions(path)
        changed = [name for name, value in conditions.items() if earlier.get(name) != value]
        if changed:
            raise SettingsError(
                f"{args.output} holds a benchmark with other {', '.join(changed)}.",
                expected="the same model, dataset and settings as before",
                remedy="choose another --output, or add --overwrite instead of --resume",
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(conditions, indent=2) + "\n", encoding="utf-8")


def _read_conditions(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(require_regular(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}).",
            expected="the file that an earlier benchmark wrote",
            remedy="choose another --output, or add --overwrite instead of --resume",
        ) from error
