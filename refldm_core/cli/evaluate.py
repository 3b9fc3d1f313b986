"""Judge restored faces against the true ones: identity, fidelity and quality, with intervals, tests and a report.

examples:
  refldm evaluate --predictions restored --ground-truth ffhq --references test_references.csv --output judged
      Judges every target of the CSV. judged/report.html shows tables, plots, and the best and worst pictures.
      judged/per_image.csv has every number.
  refldm evaluate --predictions ours=restored codeformer=cf input=low --ground-truth ffhq --references test.csv
      --output judged --second-recognizer glintr100.onnx
      Compares each method with the first one, person by person. The degraded pictures can be one of the methods.
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --second-recognizer dlib
      Adds dlib's recognizer as a second opinion. Its similarity is 1 - Euclidean distance.
      Install it with pip install -e ".[judge]".
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --metrics psnr ssim lpips --resume
      Continues an interrupted evaluation. Files that have changed are judged again.
  refldm evaluate --predictions ours=restored --ground-truth faces --output judged --seconds ours=restored.json
      Adds the seconds for each face, from the output of `refldm restore --json` or as a number.

A prediction belongs to the true picture of the same name, with any ending, and must have the same size. Pictures are
aligned crops as in FFHQ. The report names missing, extra, damaged and double pictures. All other pictures are judged,
and the exit code is then 2. LPIPS, NIQE, MUSIQ and FID download their weights at the first use. Without a network,
their columns say so.
"""

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
from ..evaluation.identity import DLIB, RecognizerSource, recognizer_source
from ..evaluation.metric_list import METRICS
from ..evaluation.report import markdown_table, results_table
from ..evaluation.session import HTML, MARKDOWN, PER_IMAGE, SUMMARY, Evaluation, JudgeSettings, evaluate, open_judges
from ..evaluation.summary import Summary, mean_seconds
from ..files import require_regular
from .cautions import warn
from .memory import CLOSE_PROGRAMS, Stage, explained_memory_errors
from .options import DEVICES, MODEL_FOLDER, choose_device
from .output import Output

_LABELS = {"ids": "recognizer", "ids_second": "second recognizer"}

_PRINTED_FINDINGS = 20
"""Number of findings that are printed. A wrong folder gives thousands."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions",
        nargs="+",
        action="extend",
        required=True,
        metavar="[NAME=]FOLDER",
        help="folders of restored faces, one for each method",
    )
    parser.add_argument(
        "--baseline",
        default="",
        metavar="NAME",
        help="method that all other methods are compared with (default: the first)",
    )
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="FOLDER", help="folder of the true faces")
    parser.add_argument(
        "--references",
        type=Path,
        metavar="CSV",
        help="CSV of the published layout (gt_image, ref_image) that lists the references of each true face; only its "
        "targets are judged, and all pictures that it connects show one person",
    )
    parser.add_argument(
        "--reference-folder", type=Path, metavar="FOLDER", help="folder of the references (default: --ground-truth)"
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="CSV",
        help="CSV that names the person in each picture (columns image, person), if --references does not",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for scores and reports")
    parser.add_argument(
        "--seconds",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=X",
        help="seconds for each face: a number, a JSON file of `refldm restore --json`, or a CSV with the column "
        "seconds",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation")
    parser.add_argument("--resume", action="store_true", help="continue an earlier evaluation")
    add_judge_arguments(parser)


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the metrics and recognizers. `benchmark-table` has the same options."""
    judging = parser.add_argument_group("judging")
    judging.add_argument(
        "--metrics",
        nargs="+",
        choices=[name for name in METRICS if not name.startswith("references")],
        default=list(METRICS),
        metavar="M",
        help="metrics out of %(choices)s (default: all)",
    )
    judging.add_argument(
        "--recognizer",
        type=Path,
        metavar="FILE",
        help='recognizer for the IDS: an ONNX file, or the folder of an insightface pack; "embedded" comes with refldm '
        f'and knows rendered people; "{DLIB}" is dlib\'s (default: {DETECTOR_FILES["insightface"]} in {MODEL_FOLDER}, '
        "if it exists)",
    )
    judging.add_argument(
        "--second-recognizer",
        type=Path,
        metavar="FILE",
        help="recognizer that the restorer was not trained with, named as for --recognizer; training against the first "
        "recognizer can raise its IDS without more likeness",
    )
    judging.add_argument(
        "--judge-device", choices=DEVICES, default="cpu", help="device of LPIPS, NIQE, MUSIQ and FID (default: cpu)"
    )


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
    methods = _methods(args.predictions)
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


def _methods(words: Sequence[str]) -> dict[str, Path]:
    """Return method -> folder. A method without a name gets the name of its folder."""
    methods: dict[str, Path] = {}
    for word in words:
        name, separator, folder = word.partition("=")
        if not separator or Path(word).is_dir():  # the name of a folder may contain this sign
            name, folder = Path(word).resolve().name, word
        if not (name and folder) or name in methods:
            raise SettingsError(
                f"--predictions {word} cannot be used{': the name is taken' if name in methods else ''}.",
                expected="FOLDER or NAME=FOLDER, each name once, such as ours=restored",
                remedy="give each method a name of its own",
            )
        methods[name] = Path(folder)
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
