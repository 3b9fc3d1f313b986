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
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import OutputError, ReFLDMError
from ..evaluation.benchmark import (
    RestoreSettings,
    degrade_target,
    restore_target,
    result_path,
    seconds_in,
    write_seconds,
    write_synthetic_people,
)
from ..evaluation.dataset import match_predictions
from ..evaluation.published import CAVEAT, PUBLISHED, benchmark_table
from ..evaluation.report import judges_in_words, markdown_table
from ..evaluation.session import HTML, Evaluation, evaluate, open_judges
from ..evaluation.summary import Summary
from ..files import atomic_write, make_folder
from ..pipeline import Restorer
from .benchmark_plan import (
    DEGRADED,
    Plan,
    benchmark_conditions,
    make_plan,
    parse_arms,
    parse_lq_folders,
    require_resume_or_overwrite,
    require_same_conditions,
)
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

_TABLE, _DATA, _SECONDS = "table.md", "table.json", "seconds.csv"


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


def run(args: argparse.Namespace, output: Output) -> int:
    # What is wrong with the arguments is found before the long work.
    settings = RestoreSettings(sampling_settings(args), args.seed, args.reference_encoding)
    judging = judge_settings(args)
    low = parse_lq_folders(args)
    arms = parse_arms(args)
    first = join_processes() == 0
    if first:
        require_resume_or_overwrite(args)
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
    plan = make_plan(args, arms, low)
    if first:
        require_same_conditions(args, benchmark_conditions(plan, model, settings, args))
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
    plan: Plan, restorer: Restorer, settings: RestoreSettings, args: argparse.Namespace, output: Output
) -> None:
    """Restore one process's share; what fails is said here, and the evaluation names what is missing."""
    own_low = {kind: match_predictions(DEGRADED, folder, plan.targets)[0] for kind, folder in plan.low.items()}
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


def _report(plan: Plan, summaries: Mapping[str, Summary], output: Output) -> int:
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


def _seconds(plan: Plan) -> dict[tuple[str, str, str], float]:
    """(degradation, method, image) -> seconds, of what is restored."""
    found: dict[tuple[str, str, str], float] = {}
    for kind in plan.kinds:
        for arm in plan.arms:
            for target in plan.targets:
                seconds = seconds_in(result_path(target, plan.restored_folder(kind, arm)))
                if seconds is not None:
                    found[kind, arm.label, target.name] = seconds
    return found
