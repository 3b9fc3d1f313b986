"""Measure how much of a person's likeness a model restores, on rendered people that it has never seen.

python -m benchmarks.likeness --model M.safetensors --recognizer HELDOUT.onnx --second-recognizer dlib \
    --cases people --output report.md --json data.json
python -m benchmarks.likeness --model M.safetensors --recognizer HELDOUT.onnx --second-recognizer dlib \
    --cases people --quick                                      judges a checkpoint roughly in a few minutes
python -m benchmarks.likeness ... --share 1/2 --json 1.json     evaluates half of the people, in one of two processes
python -m benchmarks.likeness ... --json data.json --resume     evaluates the people that are not yet in the file
python -m benchmarks.likeness --merge 1.json 2.json --output report.md
python -m benchmarks.likeness ... --arms "own 3" none --json a.json     restores in these two ways only, for --compare
python -m benchmarks.likeness --compare none=a.json scaled=b.json --output ablation.md

Each person's severely degraded portrait is restored without references, with a wrong person's references, and with 1 to
3 of the person's own. The people are rendered into the folder of --cases, which holds one size. Later runs read them
from there. --recognizer must name a recognizer that no model was trained against. --trained-recognizer adds the scores
of the recognizer of the identity loss. --second-recognizer adds those of a further one, such as dlib's
(pip install -e ".[judge]").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from refldm_core.checkpoints.building import load_model
from refldm_core.cli.arguments.model import DTYPES, add_model_arguments
from refldm_core.cli.options import dtype_of
from refldm_core.data.corpus import Picture
from refldm_core.errors import SettingsError
from refldm_core.evaluation.identity import (
    DLIB,
    IdentityJudge,
    RecognizerSource,
    digest_of,
    name_of,
    open_identity_judge,
    recognizer_source,
)
from refldm_core.face.identity import ArcFaceRecognizer
from refldm_core.images import require_image_format, save_image
from refldm_core.model.fingerprint import fingerprint
from refldm_core.pipeline import Restorer, SamplingSettings

from ..common.measuring import machine
from ..common.reporting import run_and_report
from .cases import FIRST_PERSON, REFERENCES, Case, Cases, hash_of, render_with_progress
from .contact_sheet import Cell, contact_sheet
from .protocol import (
    ARMS,
    QUICK_ARMS,
    PersonScores,
    Recognizers,
    copy_truth,
    identity_scores,
    restore_all,
    score,
)
from .report import compare, describe, quick_reading
from .scores import Run, merge, read_run, require_same

HELD_OUT, TRAINED, SECOND = "held out", "trained against", "second"
"""Roles of the recognizers."""

_SHEET_COLUMNS = {"LQ": "LQ", "none": "no references", "wrong 3": "wrong person's", "own 1": "1 own", "own 3": "3 own"}
"""Picture -> heading of its column in the sheet."""

_PEOPLE, _STEPS = 200, 50
_QUICK_PEOPLE, _QUICK_STEPS = 40, 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if not (args.compare or args.merge or (args.model and args.recognizer and args.cases)):
        parser.error("--model, --recognizer and --cases are needed, or --merge, or --compare")
    if args.quick and (args.json or args.sheet or args.resume):
        parser.error("--quick writes no --json and no --sheet, and resumes nothing")
    if args.quick and args.arms:
        parser.error("--quick has its own --arms")
    people, steps = (_QUICK_PEOPLE, _QUICK_STEPS) if args.quick else (_PEOPLE, _STEPS)
    args.people = people if args.people is None else args.people
    args.steps = steps if args.steps is None else args.steps

    def make_report() -> str:
        if args.sheet is not None:
            require_image_format(args.sheet)
        if args.compare:
            return compare(_named_runs(args.compare))
        if not args.merge:
            run = evaluate(args)
            return quick_reading(run) if args.quick else _report(run)
        merged = merge([read_run(path) for path in args.merge])
        if args.json:
            merged.write(args.json)
        return _report(merged)

    return run_and_report(make_report, args.output, args.json, args.sheet)


def _report(run: Run) -> str:
    """Return the whole report, or only the means where a run has some of the ways of restoring."""
    return compare({run.about["model"]["file"]: run}) if "arms" in run.about else describe(run)


def evaluate(args: argparse.Namespace) -> Run:
    """Restore and judge the people in the share of this process. Write the scores after each batch.

    Raises:
        ReFLDMError: a file or setting cannot be used, or --resume meets scores of another model or other settings.
    """
    loaded = load_model(args.model, args.vqgan, args.config, dtype=dtype_of(args.dtype), device=args.device)
    restorer = Restorer(loaded.unet, loaded.first_stage, loaded.spec)
    settings = SamplingSettings(args.steps, args.sampler, guidance=args.guidance)
    recognizers = Recognizers(
        ArcFaceRecognizer(args.recognizer),
        ArcFaceRecognizer(args.trained_recognizer) if args.trained_recognizer else None,
        open_identity_judge(recognizer_source(args.second_recognizer)) if args.second_recognizer else None,
    )
    share = _share(args)
    all_cases = Cases(args.cases, args.first_person, args.people, loaded.spec.crop_size)
    render_with_progress(all_cases)
    model = {
        "file": args.model.name,
        "fingerprint": restorer.unet.fingerprint,
        "weights": loaded.weights,
        "parameters": sum(p.numel() for p in restorer.unet.parameters()),
        "first_stage": fingerprint(restorer.first_stage.state_dict()),
    }
    run = _start(args, model, settings, all_cases, recognizers.second)
    # The file of scores holds no pictures. While the sheet does not exist, its people are therefore restored again.
    sheet_people = share[: args.sheet_people] if args.sheet and not (args.resume and args.sheet.exists()) else []
    rows: list[list[Cell]] = []
    todo = [seed for seed in share if seed in sheet_people or seed not in run.people]
    for start in tqdm(range(0, len(todo), args.batch), desc=f"{args.batch} people", disable=None):
        cases = [all_cases.case(seed) for seed in todo[start : start + args.batch]]
        arms = QUICK_ARMS if args.quick else args.arms or tuple(ARMS)
        begin = time.perf_counter()
        restored = restore_all(restorer, cases, settings, arms)
        run.seconds += time.perf_counter() - begin
        run.faces += len(cases) * len(arms)
        if args.quick:
            for case, pictures in zip(cases, restored, strict=True):
                run.people[case.person] = identity_scores(case, {"LQ": case.lq, **pictures}, recognizers)
            continue
        for case, restored_pictures, copy in zip(cases, restored, copy_truth(restorer, cases), strict=True):
            pictures = {"LQ": case.lq, **restored_pictures, "first stage": copy, "own photo": case.own[0]}
            scores = score(case, {**pictures, "wrong photo": case.wrong[0]}, recognizers)
            run.people[case.person] = scores
            if case.person in sheet_people:
                rows.append(_row(case, pictures, scores))
        if args.json:
            run.write(args.json)
        if rows and len(rows) == len(sheet_people):
            photos = [f"reference {i + 1}" for i in range(REFERENCES)]
            save_image(contact_sheet([*_SHEET_COLUMNS.values(), "truth", *photos], rows), args.sheet)
            sheet_people, rows = [], []
    return run


def _row(case: Case, pictures: dict[str, Picture], scores: PersonScores) -> list[Cell]:
    cells = [Cell(pictures[name], f"IDS {scores[name]['ids']:.3f}") for name in _SHEET_COLUMNS]
    return [*cells, Cell(case.truth.picture, f"person {case.person}"), *(Cell(photo, "") for photo in case.own)]


def _start(
    args: argparse.Namespace,
    model: dict[str, Any],
    settings: SamplingSettings,
    cases: Cases,
    second: IdentityJudge | None,
) -> Run:
    """Return an empty run, or the earlier run that --resume continues."""
    names: dict[str, Path | None] = {
        HELD_OUT: args.recognizer,
        TRAINED: args.trained_recognizer,
        SECOND: args.second_recognizer,
    }
    recognizers: dict[str, RecognizerSource] = {
        role: recognizer_source(name) for role, name in names.items() if name is not None
    }
    about: dict[str, Any] = {
        "model": model,
        "people": {"first": args.first_person, "pictures": hash_of(cases.case(cases.first))},
        "size": cases.size,
        "sampling": settings.as_json(),
        "dtype": args.dtype,
        "recognizers": {
            role: {"file": name_of(source), "sha256": digest_of(source)} for role, source in recognizers.items()
        },
    }
    if args.arms:
        about["arms"] = list(args.arms)
    if second is not None:
        about["recognizers"][SECOND]["measure"] = second.measure
    if args.resume and args.json and args.json.exists():
        run = read_run(args.json)
        require_same(run.about, about)
        return run
    return Run(about, f"{machine(args.device)}, torch {torch.__version__}")


def _share(args: argparse.Namespace) -> list[int]:
    """Return the seeds of the people in the share of this process."""
    part, _, parts = str(args.share).partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise SettingsError(
            f"The share {args.share} cannot be used.",
            expected="I/N, such as 1/2 and 2/2 for two processes",
            remedy="correct --share",
        )
    if args.people < 1 or args.batch < 1 or args.first_person < 0:
        raise SettingsError(
            f"{args.people} people from seed {args.first_person}, {args.batch} at a time, cannot be evaluated.",
            expected="at least one person, a seed of 0 or more, and at least one person at a time",
            remedy="correct --people, --first-person or --batch",
        )
    return list(range(args.first_person, args.first_person + args.people))[int(part) - 1 :: int(parts)]


def _named_runs(words: Sequence[str]) -> dict[str, Run]:
    pairs = [word.partition("=") for word in words]
    if len({name for name, _, _ in pairs}) < len(pairs) or not all(name and path for name, _, path in pairs):
        raise SettingsError(
            f"--compare {' '.join(words)} cannot be used.",
            expected="NAME=FILE for each model, with different names",
            remedy="correct --compare",
        )
    return {name: read_run(Path(path)) for name, _, path in pairs}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.likeness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="checkpoint")
    add_model_arguments(parser)
    parser.add_argument("--recognizer", type=Path, metavar="ONNX", help="recognizer that no model was trained against")
    parser.add_argument("--trained-recognizer", type=Path, metavar="ONNX", help="recognizer of the identity loss")
    parser.add_argument(
        "--second-recognizer",
        type=Path,
        metavar="ONNX",
        help=f"further recognizer that no model was trained against: an ONNX file, or {DLIB}",
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="FOLDER",
        help="folder of the rendered people; missing pictures are rendered",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"judge only the identity, of {_QUICK_PEOPLE} people in {_QUICK_STEPS} steps, without references, with a "
        "wrong person's and with 3 of their own",
    )
    parser.add_argument("--arms", choices=tuple(ARMS), nargs="+", help="restore in these ways only (default: all)")
    parser.add_argument("--people", type=int, metavar="N", help=f"number of people (default: {_PEOPLE})")
    parser.add_argument("--first-person", type=int, default=FIRST_PERSON, metavar="SEED")
    parser.add_argument("--batch", type=int, default=10, help="people at a time")
    parser.add_argument("--steps", type=int, metavar="N", help=f"sampling steps (default: {_STEPS})")
    parser.add_argument("--sampler", choices=("ddim", "dpmpp_2m"), default="ddim")
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="number type of the U-Net")
    parser.add_argument(
        "--share", default="1/1", metavar="I/N", help="evaluate every N-th person, starting with the I-th"
    )
    parser.add_argument("--resume", action="store_true", help="keep the people that --json has already")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="JSON", help="make a report of several shares")
    parser.add_argument("--compare", nargs="+", metavar="NAME=JSON", help="make a report of several models")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file of every person's scores to write")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="picture of the first people to write")
    parser.add_argument("--sheet-people", type=int, default=8, metavar="N")
    return parser
