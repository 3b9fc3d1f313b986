"""The work of `refldm evaluate`. Its options are in `arguments/evaluate.py`."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ..checkpoints.faces import DETECTOR_FILES
from ..errors import SettingsError
from ..evaluation.cells import from_cell
from ..evaluation.dataset import find_targets, pictures_in
from ..evaluation.identity import RecognizerSource, recognizer_source
from ..evaluation.metric_list import METRICS
from ..evaluation.report import markdown_table, results_table
from ..evaluation.session import HTML, MARKDOWN, PER_IMAGE, SUMMARY, Evaluation, JudgeSettings, evaluate, open_judges
from ..evaluation.summary import Summary, mean_seconds
from ..files import require_regular
from .arguments.model import MODEL_FOLDER
from .cautions import warn
from .evaluate_video import require_one_kind, run_video
from .memory import CLOSE_PROGRAMS, Stage, explained_memory_errors
from .options import choose_device
from .output import Output

_LABELS = {"ids": "recognizer", "ids_second": "second recognizer"}

_PRINTED_FINDINGS = 20
"""Number of findings that are printed. A wrong folder gives thousands."""


def judge_settings(args: argparse.Namespace) -> JudgeSettings:
    """Return the metrics and recognizers that the arguments name.

    Raises:
        CheckpointError: The embedded recognizer was named and is missing.
        SettingsError: PyTorch sees no such device.
    """
    default_pack = MODEL_FOLDER / DETECTOR_FILES["insightface"]
    named: dict[str, Path | None] = {
        "ids": args.recognizer or (default_pack if default_pack.is_dir() else None),
        "ids_second": args.second_recognizer,
    }
    sources: dict[str, RecognizerSource] = {
        metric: recognizer_source(name) for metric, name in named.items() if name is not None
    }
    return JudgeSettings(args.metrics, sources, choose_device(args.judge_device))


def judging_stage(args: argparse.Namespace) -> Stage:
    """Return the stage of loading and running the networks that judge."""
    on_cpu = [] if args.judge_device == "cpu" else ["--judge-device cpu, which is slow"]
    return Stage("judge the pictures", [*on_cpu, "fewer --metrics", CLOSE_PROGRAMS])


def run(args: argparse.Namespace, output: Output) -> int:
    require_one_kind(args)
    if args.video:
        recognizer = judge_settings(args).recognizers.get("ids")
        return run_video(args, _methods(args.video, "--video", "FILE"), recognizer, judging_stage(args), output)
    methods = _methods(args.predictions, "--predictions", "FOLDER")
    seconds = _seconds(args.seconds, methods)
    settings = judge_settings(args)
    targets, findings = find_targets(args.ground_truth, args.references, args.people, args.reference_folder)
    with explained_memory_errors(judging_stage(args)):
        judges = open_judges(settings)
    warn(output, {_LABELS[name]: judge.metadata for name, judge in judges.recognizers.items()})
    for metric, reason in judges.absent.items():
        output.remark(f"{METRICS[metric].label} is left out: {reason}.")
    title = "Evaluation of " + ", ".join(methods)
    other_pictures = pictures_in(args.ground_truth) if args.references else ()
    job = Evaluation(title, targets, findings, methods, other_pictures, args.references, seconds, args.baseline)
    with explained_memory_errors(judging_stage(args)):
        summary = evaluate(
            job,
            settings,
            judges,
            args.output,
            resume=args.resume,
            overwrite=args.overwrite,
            show_progress=lambda todo: output.with_progress(todo, "pictures", len(todo)),
        )
    folder: Path = args.output
    output.result(
        "\n".join([*markdown_table(results_table(summary)), *summary_lines(summary), f"Report: {folder / HTML}"]),
        {**summary.as_json(), "files": [str(folder / name) for name in (PER_IMAGE, SUMMARY, MARKDOWN, HTML)]},
    )
    return 2 if summary.to_mend else 0


def summary_lines(summary: Summary) -> list[str]:
    """Return the number of significant differences, and the findings that the user must mend, as lines of text."""
    lines: list[str] = []
    if summary.comparisons:
        significant = sum(comparison.better is not None for comparison in summary.comparisons)
        lines.append(f"{significant} of {len(summary.comparisons)} differences show (Holm-adjusted p below 0.05).")
    if summary.to_mend:
        lines.append(f"{len(summary.to_mend)} to mend:")
        for finding in summary.to_mend[:_PRINTED_FINDINGS]:
            method = f" ({finding.method})" if finding.method else ""
            lines.append(f"  {finding.kind}{method}: {finding.what}: {finding.detail}")
        if len(summary.to_mend) > _PRINTED_FINDINGS:
            lines.append(f"  and {len(summary.to_mend) - _PRINTED_FINDINGS} more: {SUMMARY} names them all")
    return lines


def _methods(words: Sequence[str], option: str, kind: str) -> dict[str, Path]:
    """Return method -> folder or file. A method without a name gets the name of its folder or file."""
    methods: dict[str, Path] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or Path(word).exists():  # the name of a folder may contain this sign
            name, path = Path(word).resolve().name, word
        if not (name and path) or name in methods:
            raise SettingsError(
                f"{option} {word} cannot be used{': the name is taken' if name in methods else ''}.",
                expected=f"{kind} or NAME={kind}, each name once, such as ours=restored",
                remedy="give each method a name of its own",
            )
        methods[name] = Path(path)
    return methods


def _seconds(words: Sequence[str], methods: dict[str, Path]) -> dict[str, float]:
    """Return method -> mean seconds for each face.

    Raises:
        SettingsError: A word names no method, or its number or file cannot be used.
    """
    seconds_of: dict[str, float] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator and len(methods) == 1:
            name, value = next(iter(methods)), word
        try:
            seconds = mean_seconds([float(value)] if _is_number(value) else _read_seconds(Path(value), name))
        except SettingsError as error:
            raise _unusable_seconds(word, f" ({error.problem})") from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            raise _unusable_seconds(word, f" ({str(error)[:200]})") from error
        if seconds is None or name not in methods:
            raise _unusable_seconds(word)
        seconds_of[name] = seconds
    return seconds_of


def _unusable_seconds(word: str, reason: str = "") -> SettingsError:
    return SettingsError(
        f"--seconds {word} cannot be used{reason}.",
        expected="NAME=X, with the name of a method and a number, a JSON file that `refldm restore --json` printed, or "
        "a CSV file with the column seconds",
        remedy="correct --seconds",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_seconds(path: Path, method: str) -> list[float]:
    if path.suffix.lower() == ".csv":
        with require_regular(path).open(newline="", encoding="utf-8-sig") as file:
            # `refldm benchmark-table` writes the seconds of all methods into one file.
            rows = [row for row in csv.DictReader(file) if from_cell(row.get("method") or method) == method]
        return [float(row["seconds"]) for row in rows if row["seconds"]]
    entries = cast("list[dict[str, Any]]", json.loads(require_regular(path).read_text(encoding="utf-8"))["restored"])
    # A photo can show several faces, or none.
    return [float(entry["seconds"]) / max(1, len(entry.get("faces", [0]))) for entry in entries]
