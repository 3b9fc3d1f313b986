"""Judge restored faces against the true ones: identity, fidelity and quality, with intervals, tests and a report.

examples:
  refldm evaluate --predictions restored --ground-truth ffhq --references test_references.csv --output judged
      Every target of the CSV. judged/report.html shows tables, plots, and the best and worst pictures;
      judged/per_image.csv has every number.
  refldm evaluate --predictions ours=restored codeformer=cf input=low --ground-truth ffhq --references test.csv
      --output judged --second-recognizer glintr100.onnx
      Methods side by side, each compared with the first, person by person. The degraded pictures may be one.
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --second-recognizer dlib
      dlib's recognizer as the second opinion. Its similarity is 1 - Euclidean distance.
      It comes with pip install -e ".[judge]".
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --metrics psnr ssim lpips --resume
      Goes on with an evaluation that was interrupted; files that have changed are judged again.
  refldm evaluate --predictions ours=restored --ground-truth faces --output judged --seconds ours=restored.json
      With the time for each face, from what `refldm restore --json` printed, or a number.

Predictions belong to the true picture of the same name, whatever the ending, and must have its size. Pictures are
aligned crops as in FFHQ. Missing, extra, damaged and double pictures are named in the report; the rest is done, and the
exit code is then 2. LPIPS, NIQE, MUSIQ and FID download their weights when first used; without a network their columns
say so.
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
from ..evaluation.metrics import METRICS
from ..evaluation.report import markdown_table, results_table
from ..evaluation.session import HTML, MARKDOWN, PER_IMAGE, SUMMARY, Evaluation, JudgeSettings, evaluate, open_judges
from ..evaluation.summary import Summary, mean_seconds
from ..files import require_regular
from .cautions import warn
from .memory import CLOSE_PROGRAMS, Stage, explained_memory_errors
from .options import DEVICES, MODEL_FOLDER, choose_device
from .output import Output

_CALLED = {"ids": "recognizer", "ids_second": "second recognizer"}
_SHOWN = 20
"""Findings that are printed; a wrong folder has thousands."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions",
        nargs="+",
        action="extend",
        required=True,
        metavar="[NAME=]FOLDER",
        help="restored faces, of one method or of several",
    )
    parser.add_argument(
        "--baseline",
        default="",
        metavar="NAME",
        help="the method that the others are compared with (default: the first)",
    )
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="FOLDER", help="the true faces")
    parser.add_argument(
        "--references",
        type=Path,
        metavar="CSV",
        help="whose references are whose, in the published layout (gt_image, ref_image); only its targets are judged, "
        "and the pictures that it connects are one person's",
    )
    parser.add_argument(
        "--reference-folder", type=Path, metavar="FOLDER", help="where the references lie (default: --ground-truth)"
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="CSV",
        help="whom each picture shows (columns image, person), if not by --references",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for scores and reports")
    parser.add_argument(
        "--seconds",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=X",
        help="seconds for each "
        "face: a number, a JSON file of `refldm restore --json`, or a CSV with the column seconds",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an evaluation that is there")
    parser.add_argument("--resume", action="store_true", help="go on with an evaluation that is there")
    add_judge_arguments(parser)


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    """By what to judge, as `benchmark-table` takes it too."""
    judging = parser.add_argument_group("judging")
    judging.add_argument(
        "--metrics",
        nargs="+",
        choices=[name for name in METRICS if not name.startswith("references")],
        default=list(METRICS),
        metavar="M",
        help="some of %(choices)s (default: all)",
    )
    judging.add_argument(
        "--recognizer",
        type=Path,
        metavar="FILE",
        help='ONNX file, or folder of an insightface pack, for the IDS; "embedded" comes along and knows rendered '
        f'people; "{DLIB}" is dlib\'s (default: {DETECTOR_FILES["insightface"]} in {MODEL_FOLDER}, where it is there)',
    )
    judging.add_argument(
        "--second-recognizer",
        type=Path,
        metavar="FILE",
        help="one that the restorer was not trained with, named as for --recognizer: a high IDS may be learned for the "
        "first",
    )
    judging.add_argument(
        "--judge-device", choices=DEVICES, default="cpu", help="where LPIPS, NIQE, MUSIQ and FID compute (default: cpu)"
    )


def judge_settings(args: argparse.Namespace) -> JudgeSettings:
    """Raises: CheckpointError: the embedded recognizer was named and is missing; SettingsError: no such device."""
    usual = MODEL_FOLDER / DETECTOR_FILES["insightface"]
    named: dict[str, Path | None] = {
        "ids": args.recognizer or (usual if usual.is_dir() else None),
        "ids_second": args.second_recognizer,
    }
    sources: dict[str, RecognizerSource] = {
        metric: recognizer_source(name) for metric, name in named.items() if name is not None
    }
    return JudgeSettings(args.metrics, sources, choose_device(args.judge_device))


def judging_stage(args: argparse.Namespace) -> Stage:
    """Loading the networks that judge, and running them."""
    on_cpu = [] if args.judge_device == "cpu" else ["--judge-device cpu, which is slow"]
    return Stage("judge the pictures", [*on_cpu, "fewer --metrics", CLOSE_PROGRAMS])


def run(args: argparse.Namespace, output: Output) -> int:
    methods = _methods(args.predictions)
    seconds = _seconds(args.seconds, methods)
    settings = judge_settings(args)
    targets, findings = find_targets(args.ground_truth, args.references, args.people, args.reference_folder)
    with explained_memory_errors(judging_stage(args)):
        judges = open_judges(settings)
    warn(output, {_CALLED[name]: judge.metadata for name, judge in judges.recognizers.items()})
    for metric, why in judges.absent.items():
        output.remark(f"{METRICS[metric].label} is left out: {why}.")
    title = "Evaluation of " + ", ".join(methods)
    others = pictures_in(args.ground_truth) if args.references else ()
    job = Evaluation(title, targets, findings, methods, others, args.references, seconds, args.baseline)
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
        "\n".join([*markdown_table(results_table(summary)), *in_words(summary), f"Report: {folder / HTML}"]),
        {**summary.as_json(), "files": [str(folder / name) for name in (PER_IMAGE, SUMMARY, MARKDOWN, HTML)]},
    )
    return 2 if summary.to_mend else 0


def in_words(summary: Summary) -> list[str]:
    """What must be mended, and how many differences show."""
    lines: list[str] = []
    if summary.comparisons:
        significant = sum(comparison.better is not None for comparison in summary.comparisons)
        lines.append(f"{significant} of {len(summary.comparisons)} differences show (Holm-adjusted p below 0.05).")
    if summary.to_mend:
        lines.append(f"{len(summary.to_mend)} to mend:")
        shown = summary.to_mend[:_SHOWN]
        lines += [f"  {f.kind}{f' ({f.method})' if f.method else ''}: {f.what}: {f.detail}" for f in shown]
        if len(summary.to_mend) > _SHOWN:
            lines.append(f"  and {len(summary.to_mend) - _SHOWN} more: {SUMMARY} names them all")
    return lines


def _methods(words: Sequence[str]) -> dict[str, Path]:
    """Name -> folder; a folder without a name is called as itself."""
    methods: dict[str, Path] = {}
    for word in words:
        name, separator, folder = word.partition("=")
        if not separator or Path(word).is_dir():  # a folder's name may have the sign in it
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
    """Method -> seconds for each face."""
    found: dict[str, float] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator and len(methods) == 1:
            name, value = next(iter(methods)), word
        try:
            seconds = mean_seconds([float(value)] if _is_number(value) else _read_seconds(Path(value), name))
        except SettingsError as error:
            raise _no_seconds(word, f" ({error.problem})") from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            raise _no_seconds(word, f" ({str(error)[:200]})") from error
        if seconds is None or name not in methods:
            raise _no_seconds(word)
        found[name] = seconds
    return found


def _no_seconds(word: str, why: str = "") -> SettingsError:
    return SettingsError(
        f"--seconds {word} cannot be used{why}.",
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
            # `refldm benchmark-table` writes all its methods into one file.
            rows = [row for row in csv.DictReader(file) if from_cell(row.get("method") or method) == method]
        return [float(row["seconds"]) for row in rows if row["seconds"]]
    entries = cast("list[dict[str, Any]]", json.loads(require_regular(path).read_text(encoding="utf-8"))["restored"])
    # A whole photo may hold several faces, or none.
    return [float(entry["seconds"]) / max(1, len(entry.get("faces", [0]))) for entry in entries]
