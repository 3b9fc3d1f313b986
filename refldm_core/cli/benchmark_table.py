"""The work of `refldm benchmark-table`. Its options are in `arguments/benchmark_table.py`."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import replace

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
from ..evaluation.paper_table import benchmark_table
from ..evaluation.published import CAVEAT, PUBLISHED
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
from .evaluate import judge_settings, judging_stage, summary_lines
from .inputs import share_of
from .memory import explained_memory_errors
from .output import Output
from .people import TRAINED_REFERENCES
from .processes import join_processes, leave_processes, wait_for_all
from .sampling import (
    encoding_stage,
    load_named_model,
    sampling_device,
    sampling_settings,
)

_TABLE, _DATA, _SECONDS = "table.md", "table.json", "seconds.csv"


def run(args: argparse.Namespace, output: Output) -> int:
    # Wrong arguments are reported before the long work.
    settings = RestoreSettings(sampling_settings(args), args.seed, args.reference_encoding)
    judging = judge_settings(args)
    lq_folders = parse_lq_folders(args)
    arms = parse_arms(args)
    is_first_process = join_processes() == 0
    if is_first_process:
        require_resume_or_overwrite(args)
    with explained_memory_errors(judging_stage(args)):
        judges = open_judges(judging) if is_first_process else None
    device = sampling_device(args)
    model = load_named_model(args, device, output)
    if is_first_process and args.synthetic is None:
        warn(output, {"model": model.metadata})
    make_folder(args.output)
    if is_first_process and args.synthetic is not None:
        photos = max(TRAINED_REFERENCES, *args.counts)  # so that a resumed run can use more references
        rendered = args.output / "rendered"
        write_synthetic_people(rendered, args.synthetic, photos, model.spec.crop_size, overwrite=args.overwrite)
    wait_for_all()
    plan = make_plan(args, arms, lq_folders)
    if is_first_process:
        require_same_conditions(args, benchmark_conditions(plan, model, settings, args))
    wait_for_all()
    _restore_all(plan, Restorer(model.unet, model.first_stage, model.spec), settings, args, output)
    wait_for_all()
    leave_processes()  # only the first process judges
    if judges is None:
        return 0
    seconds = _seconds(plan)
    write_seconds(plan.folder / _SECONDS, seconds)
    summaries: dict[str, Summary] = {}
    for kind in plan.kinds:
        methods = plan.methods(kind)
        times_of = {
            name: [time for (degradation, method, _), time in seconds.items() if (degradation, method) == (kind, name)]
            for name in methods
        }
        with explained_memory_errors(judging_stage(args)):
            summaries[kind] = evaluate(
                Evaluation(
                    f"ReF-LDM, {kind} degradation",
                    plan.targets,
                    plan.findings,
                    methods,
                    plan.other_pictures,
                    plan.references,
                    {name: statistics.median(times) for name, times in times_of.items() if times},
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
    """Restore the share of this process. Report each failure. The evaluation later names the missing pictures."""
    named_lq = {kind: match_predictions(DEGRADED, folder, plan.targets)[0] for kind, folder in plan.lq_folders.items()}
    share = share_of(plan.targets)
    stage = replace(encoding_stage(args, restorer), work="restore this face")  # encoding takes the most memory
    for target in output.with_progress(share, "faces", len(share)):
        for kind in plan.kinds:
            try:
                if kind not in named_lq:
                    lq = degrade_target(
                        target, plan.lq_folder(kind), kind, args.degradation_seed, overwrite=args.overwrite
                    )
                elif target.name in named_lq[kind]:
                    lq = named_lq[kind][target.name]
                else:
                    continue
                for arm in plan.arms:
                    path = result_path(target, plan.restored_folder(kind, arm))
                    if args.overwrite or not path.exists():
                        with explained_memory_errors(stage):
                            restore_target(restorer, lq, target.references[: arm.count], path, settings)
            except ReFLDMError as error:
                if isinstance(error, OutputError):  # with a full disk, all other faces would fail too
                    raise
                output.failure(f"{target.name}, {kind}", error)


def _report(plan: Plan, summaries: Mapping[str, Summary], output: Output) -> int:
    table = benchmark_table(summaries)
    judges = list(dict.fromkeys(line for summary in summaries.values() for line in judges_in_words(summary)))
    lines = ["# Benchmark", "", *markdown_table(table), "", CAVEAT, "", *(f"- {line}" for line in judges)]
    reports = [f"- [{kind}]({kind}/{HTML})" for kind in summaries]
    with atomic_write(plan.folder / _TABLE) as temporary:
        temporary.write_text("\n".join([*lines, "", *reports]) + "\n", encoding="utf-8")
    data = {
        "summaries": {kind: summary.as_json() for kind, summary in summaries.items()},
        "published": {kind: PUBLISHED[kind]._asdict() for kind in summaries},
        "table": str(plan.folder / _TABLE),
    }
    with atomic_write(plan.folder / _DATA) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    findings = [line for summary in summaries.values() for line in summary_lines(summary) if summary.to_mend]
    output.result(
        "\n".join([*markdown_table(table), CAVEAT, *judges, *findings, f"Table: {plan.folder / _TABLE}"]), data
    )
    return 2 if any(summary.to_mend for summary in summaries.values()) else 0


def _seconds(plan: Plan) -> dict[tuple[str, str, str], float]:
    """Return (degradation, method, image) -> seconds, for the pictures that are restored."""
    seconds_of: dict[tuple[str, str, str], float] = {}
    for kind in plan.kinds:
        for arm in plan.arms:
            for target in plan.targets:
                seconds = seconds_in(result_path(target, plan.restored_folder(kind, arm)))
                if seconds is not None:
                    seconds_of[kind, arm.label, target.name] = seconds
    return seconds_of
