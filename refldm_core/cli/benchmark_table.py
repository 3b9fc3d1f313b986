"""The paper's table from one command: degrade a test set, restore it, judge it, and print the rows.

examples:
  refldm benchmark-table --dataset ffhq/images512x512 --references test_references.csv --output table
      Both of the paper's degradations, up to 5 references, the official model. table/table.md is the table,
      table/severe/report.html and table/moderate/report.html are the reports.
  accelerate launch -m refldm_core benchmark-table --dataset ffhq --references test.csv --output table --resume
      Shares the faces out to all GPUs and machines, and leaves out what is done.
  refldm benchmark-table --dataset ffhq --references test.csv --output table --counts 0 1 2 3 4 5
      A row for each number of references.
  refldm benchmark-table --synthetic 20 --model embedded --recognizer embedded --counts 0 1 3 --output table
      The whole way without a download: rendered people, and the small models that come along.

Pictures are aligned crops. Degraded pictures are made with the paper's ranges and a fixed seed, as `refldm degrade`
makes them, or taken from --low. Each face is restored alone, so that the seconds are those of one face (the median is
shown, with the encoding of the references). The published numbers stand beside: they are of the paper's own data.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..checkpoints.building import LoadedModel
from ..checkpoints.download import sha256_of
from ..data.degradation import Kind
from ..errors import OutputError, ReFLDMError, SettingsError
from ..evaluation.benchmark import (
    Arm,
    RestoreSettings,
    degrade_target,
    make_folder,
    require_distinct_results,
    restore_target,
    result_path,
    seconds_in,
    write_seconds,
    write_synthetic_people,
)
from ..evaluation.dataset import Finding, Target, find_targets, match_predictions, pictures_in
from ..evaluation.published import CAVEAT, PUBLISHED, benchmark_table
from ..evaluation.report import judges_in_words, markdown_table
from ..evaluation.session import HTML, Evaluation, evaluate, open_judges
from ..evaluation.summary import Summary
from ..files import atomic_write, require_regular
from ..model.fingerprint import fingerprint
from ..pipeline import Restorer
from .cautions import warn
from .evaluate import add_judge_arguments, in_words, judge_settings, judging_stage
from .inputs import share_of
from .memory import explained_memory_errors
from .output import Output
from .people import TRAINED_REFERENCES
from .processes import join_processes, leave_processes, wait_for_all
from .sampling import (
    add_sampling_arguments,
    encoding_stage,
    load_named_model,
    sampling_device,
    sampling_settings,
)

_DEGRADED = "degraded"
_SETTINGS, _TABLE, _DATA, _SECONDS = "benchmark.json", "table.md", "table.json", "seconds.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", type=Path, metavar="FOLDER", help="the true faces and their references")
    parser.add_argument(
        "--references", type=Path, metavar="CSV", help="whose references are whose, in the published layout"
    )
    parser.add_argument("--people", type=Path, metavar="CSV", help="whom each picture shows, if not by --references")
    parser.add_argument(
        "--synthetic", type=int, metavar="N", help="instead of a dataset: render N people into the output folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for everything")
    parser.add_argument(
        "--kinds", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED), help="degradations (default: both)"
    )
    parser.add_argument(
        "--low", nargs="+", action="extend", default=[], metavar="KIND=FOLDER", help="degraded pictures that are there"
    )
    parser.add_argument(
        "--degradation-seed", type=int, default=2024, metavar="S", help="of the degraded pictures (default: 2024)"
    )
    parser.add_argument(
        "--counts",
        nargs="+",
        type=int,
        default=[5],
        metavar="N",
        help="most references to restore with, a row for each; 0 is without any (default: 5)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N faces")
    parser.add_argument("--overwrite", action="store_true", help="do everything again")
    parser.add_argument("--resume", action="store_true", help="leave out what is done")
    add_sampling_arguments(parser)
    add_judge_arguments(parser)


@dataclass(frozen=True)
class _Plan:
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
        return {_DEGRADED: self.low_folder(kind)} | {arm.label: self.restored_folder(kind, arm) for arm in self.arms}


def run(args: argparse.Namespace, output: Output) -> int:
    # What is wrong with the arguments is found before the long work.
    settings = RestoreSettings(sampling_settings(args), args.seed, args.reference_encoding)
    judging = judge_settings(args)
    low = _low(args)
    arms = _arms(args)
    first = join_processes() == 0
    if first:
        _require_asked(args)
    with explained_memory_errors(judging_stage(args)):
        judges = open_judges(judging) if first else None
    device = sampling_device(args)
    model = load_named_model(args, device, output)
    if first and args.synthetic is None:
        warn(output, {"model": model.metadata})
    make_folder(args.output)
    if first and args.synthetic is not None:
        most = max(TRAINED_REFERENCES, *args.counts)  # so that a resumed run may use more of them
        rendered = args.output / "rendered"
        write_synthetic_people(rendered, args.synthetic, most, model.spec.crop_size, overwrite=args.overwrite)
    wait_for_all()
    plan = _plan(args, arms, low)
    if first:
        _require_same(args, _about(plan, model, settings, args))
    wait_for_all()
    _restore_all(plan, Restorer(model.unet, model.first_stage, model.spec), settings, args, output)
    wait_for_all()
    leave_processes()  # the first judges alone
    if judges is None:
        return 0
    seconds = _seconds(plan)
    write_seconds(plan.folder / _SECONDS, seconds)
    summaries: dict[str, Summary] = {}
    for kind in plan.kinds:
        methods = plan.methods(kind)
        timed = {name: [s for (k, n, _), s in seconds.items() if (k, n) == (kind, name)] for name in methods}
        with explained_memory_errors(judging_stage(args)):
            summaries[kind] = evaluate(
                Evaluation(
                    f"ReF-LDM, {kind} degradation",
                    plan.targets,
                    plan.findings,
                    methods,
                    plan.others,
                    plan.references,
                    {name: statistics.median(times) for name, times in timed.items() if times},
                    arms[0].label,
                ),
                judging,
                judges,
                plan.folder / kind,
                resume=not args.overwrite,
                overwrite=args.overwrite,
                restart=True,
                show_progress=lambda todo: output.with_progress(todo, "judging", len(todo)),
            )
    return _report(plan, summaries, output)


def _restore_all(
    plan: _Plan, restorer: Restorer, settings: RestoreSettings, args: argparse.Namespace, output: Output
) -> None:
    """Restore one process's share; what fails is said here, and the evaluation names what is missing."""
    own_low = {kind: match_predictions(_DEGRADED, folder, plan.targets)[0] for kind, folder in plan.low.items()}
    share = share_of(plan.targets)
    stage = replace(encoding_stage(args, restorer), work="restore this face")  # encoding takes the most memory
    for target in output.with_progress(share, "faces", len(share)):
        for kind in plan.kinds:
            try:
                if kind not in own_low:
                    lq = degrade_target(
                        target, plan.low_folder(kind), kind, args.degradation_seed, overwrite=args.overwrite
                    )
                elif target.name in own_low[kind]:
                    lq = own_low[kind][target.name]
                else:
                    continue
                for arm in plan.arms:
                    path = result_path(target, plan.restored_folder(kind, arm))
                    if args.overwrite or not path.exists():
                        with explained_memory_errors(stage):
                            restore_target(restorer, lq, target.references[: arm.count], path, settings)
            except ReFLDMError as error:
                if isinstance(error, OutputError):  # a full disk would fail all the others too
                    raise
                output.failure(f"{target.name}, {kind}", error)


def _report(plan: _Plan, summaries: Mapping[str, Summary], output: Output) -> int:
    table = benchmark_table(summaries)
    judges = list(dict.fromkeys(line for summary in summaries.values() for line in judges_in_words(summary)))
    page = ["# Benchmark", "", *markdown_table(table), "", CAVEAT, "", *(f"- {line}" for line in judges)]
    reports = [f"- [{kind}]({kind}/{HTML})" for kind in summaries]
    with atomic_write(plan.folder / _TABLE) as temporary:
        temporary.write_text("\n".join([*page, "", *reports]) + "\n", encoding="utf-8")
    data = {
        "summaries": {kind: summary.as_json() for kind, summary in summaries.items()},
        "published": {kind: PUBLISHED[kind]._asdict() for kind in summaries},
        "table": str(plan.folder / _TABLE),
    }
    with atomic_write(plan.folder / _DATA) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    to_mend = [line for summary in summaries.values() for line in in_words(summary) if summary.to_mend]
    output.result(
        "\n".join([*markdown_table(table), CAVEAT, *judges, *to_mend, f"Table: {plan.folder / _TABLE}"]), data
    )
    return 2 if any(summary.to_mend for summary in summaries.values()) else 0


def _plan(args: argparse.Namespace, arms: Sequence[Arm], low: Mapping[str, Path]) -> _Plan:
    rendered: Path = args.output / "rendered"
    folder, references = (rendered, rendered / "references.csv") if args.synthetic is not None else _dataset(args)
    targets, findings = find_targets(folder, references, args.people)
    require_distinct_results(targets[: args.limit])
    others = sorted(set(pictures_in(folder)) - {target.name for target in targets[: args.limit]})
    kinds: list[Kind] = [kind for kind in get_args(Kind) if kind in args.kinds]
    return _Plan(args.output, kinds, arms, targets[: args.limit], findings, references, others, low)


def _dataset(args: argparse.Namespace) -> tuple[Path, Path]:
    if args.dataset is None or args.references is None:
        raise SettingsError(
            "There is no test set.",
            expected="--dataset FOLDER with --references CSV, or --synthetic N",
            remedy="name a folder of aligned faces and the CSV of their references",
        )
    return args.dataset, args.references


def _arms(args: argparse.Namespace) -> list[Arm]:
    counts = sorted(set(args.counts))
    if counts[0] < 0 or (args.limit is not None and args.limit < 1):
        raise SettingsError(
            "--counts and --limit cannot be below 0 and 1.",
            expected="numbers of references, such as --counts 0 1 5, and of faces",
            remedy="correct them",
        )
    return [Arm(count) for count in counts]


def _low(args: argparse.Namespace) -> dict[str, Path]:
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


def _seconds(plan: _Plan) -> dict[tuple[str, str, str], float]:
    """(degradation, method, image) -> seconds, of what is restored."""
    found: dict[tuple[str, str, str], float] = {}
    for kind in plan.kinds:
        for arm in plan.arms:
            for target in plan.targets:
                seconds = seconds_in(result_path(target, plan.restored_folder(kind, arm)))
                if seconds is not None:
                    found[kind, arm.label, target.name] = seconds
    return found


def _about(plan: _Plan, model: LoadedModel, settings: RestoreSettings, args: argparse.Namespace) -> dict[str, Any]:
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


def _require_asked(args: argparse.Namespace) -> None:
    """Raises: OutputError: results are there, and neither --resume nor --overwrite was said."""
    if (args.output / _SETTINGS).exists() and not (args.resume or args.overwrite):
        raise OutputError(
            f"{args.output} holds a benchmark already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --resume to go on with it, or --overwrite to begin again",
        )


def _require_same(args: argparse.Namespace, about: dict[str, Any]) -> None:
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
