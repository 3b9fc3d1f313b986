"""Measure the likeness that fewer steps, less guidance or a shorter number type cost, on unseen rendered people.

python -m benchmarks.settings --model M.safetensors --recognizer HELDOUT.onnx --cases people \
    --settings ddim:50 dpmpp_2m:10 --json scores.json --output report.md
python -m benchmarks.settings ... --json scores.json --resume        continues with the people not yet in the file
python -m benchmarks.settings --report scores.json more.json --output report.md

A setting is PRESET[,tokens=T][@TYPE] or SAMPLER:STEPS[:GUIDANCE[:LOW-HIGH]][,strength=S][,references=W][,tokens=T]
[@TYPE]. LOW-HIGH is the interval of timesteps with guidance, S is the strength, and W is the reference strength
(`SamplingSettings`). T says which tokens of the references are kept (`reference_tokens.py`). Strength 0 keeps the
damaged picture. Each person's damaged portrait is restored with 3 references, or as many as --references says. The
noise is the same in every setting. Each setting is compared with the first one, person by person.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from tqdm import tqdm

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.download import sha256_of
from refldm_core.data.corpus import Picture
from refldm_core.evaluation.statistics import difference, estimate
from refldm_core.face.identity import ArcFaceRecognizer
from refldm_core.pipeline import Restorer

from ..common.measuring import machine
from ..common.reporting import run_and_report, write
from ..likeness.cases import FIRST_PERSON, REFERENCES, Case, Cases, render_with_progress
from ..likeness.protocol import Recognizers, score, to_batch, to_pictures
from ..likeness.scores import read_scores, require_same
from .damage import DESCRIPTIONS, Damage, damaged
from .reference_tokens import VARIANTS
from .setting import Setting

Values = dict[str, float]
"""Metric -> value of one picture."""
People = dict[str, dict[str, Values]]
"""Setting -> person -> values."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if not (args.report or (args.model and args.recognizer and args.settings and args.cases)):
        parser.error("--model, --recognizer, --settings and --cases are needed, or --report")

    def make_report() -> str:
        if not args.report:
            return describe(evaluate(args), machine("cpu"), args.damage, args.references)
        files = [read_scores(path) for path in args.report]
        for file in files[1:]:
            require_same(files[0]["about"], file["about"])
        machines = dict.fromkeys(file["machine"] for file in files)
        about = files[0]["about"]
        people = _join([file["people"] for file in files])
        return describe(people, "; ".join(machines), about["damage"], about["references"])

    return run_and_report(make_report, args.output, args.json)


def evaluate(args: argparse.Namespace) -> People:
    """Restore every person in every setting. Write the file of scores after each batch of people."""
    settings = [Setting.parse(text) for text in args.settings]
    recognizer = ArcFaceRecognizer(args.recognizer)

    @cache
    def restorer(dtype: torch.dtype) -> Restorer:
        loaded = load_model(args.model, dtype=dtype, device=args.device)
        return Restorer(loaded.unet, loaded.first_stage, loaded.spec)

    people: People = {setting.name: {} for setting in settings}
    conditions = {
        "model": restorer(settings[0].dtype).unet.fingerprint,
        "recognizer": sha256_of(args.recognizer),
        "baseline": settings[0].name,
        "damage": args.damage,
        "references": args.references,
    }
    if args.resume and args.json and args.json.exists():
        earlier = read_scores(args.json)
        require_same(earlier["about"], conditions)
        people |= {name: values_of for name, values_of in earlier["people"].items() if name in people}
    seeds = range(args.first_person, args.first_person + args.people)
    size = restorer(settings[0].dtype).spec.crop_size
    all_cases = Cases(args.cases, args.first_person, args.people, size, args.references)
    render_with_progress(all_cases)
    todo = [seed for seed in seeds if any(str(seed) not in values_of for values_of in people.values())]
    for start in tqdm(range(0, len(todo), args.batch), desc=f"{args.batch} people", disable=None):
        batch = todo[start : start + args.batch]
        cases = [all_cases.case(seed) for seed in batch]
        lq = damaged(cases, args.damage, restorer(settings[0].dtype))
        baseline: list[Picture] = []
        for setting in settings:
            begin = time.perf_counter()
            pictures = _restore(restorer(setting.dtype), cases, lq, setting)
            seconds = (time.perf_counter() - begin) / len(cases)
            baseline = baseline or pictures
            for case, picture, baseline_picture in zip(cases, pictures, baseline, strict=True):
                values = _judge(case, picture, baseline_picture, recognizer)
                people[setting.name][str(case.person)] = {**values, "seconds": seconds}
        if args.json:
            content = {"machine": machine("cpu"), "about": conditions, "people": people}
            write(args.json, json.dumps(content, indent=1) + "\n")
    return people


def _restore(restorer: Restorer, cases: Sequence[Case], lq: Sequence[Picture], setting: Setting) -> list[Picture]:
    fewer_tokens = VARIANTS[setting.tokens]
    references = [fewer_tokens(restorer.encode_references(to_batch(case.own))) for case in cases]
    return to_pictures(restorer.restore(to_batch(lq), references, [case.person for case in cases], setting.sampling))


def _judge(case: Case, picture: Picture, baseline: Picture, recognizer: ArcFaceRecognizer) -> Values:
    """Return the scores of a picture, and the mean and largest difference in gray levels to the first setting."""
    scores = score(case, {"restored": picture}, Recognizers(recognizer))["restored"]
    levels = np.abs(picture.astype(np.int16) - baseline.astype(np.int16))
    values = {name: scores[name] for name in ("ids", "psnr", "ssim", "sharpness")}
    return {**cast(Values, values), "mean_levels": float(levels.mean()), "max_levels": float(levels.max())}


def describe(people: People, machine_name: str, damage: Damage = "severe", references: int = REFERENCES) -> str:
    """Return the Markdown report. Every setting is compared with the first one, with standard errors over people."""
    baseline, *_ = people
    count = len(people[baseline])
    lines = [
        f"{count} rendered people that no model has seen, {DESCRIPTIONS[damage]}, {references} references, "
        f"held-out recognizer. Differences are to `{baseline}`, person by person, ± their standard error. Machine: "
        f"{machine_name}.",
        "",
        "| setting | IDS | IDS difference | PSNR (dB) | sharpness | gray levels, mean and largest difference "
        "| seconds a face |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, values_of in people.items():
        metrics = next(iter(values_of.values()))
        columns = {metric: [values_of[person][metric] for person in people[baseline]] for metric in metrics}
        gain = difference(columns["ids"], [values["ids"] for values in people[baseline].values()])
        change = "" if name == baseline else f"{gain.mean:+.4f} ± {gain.error:.4f}"
        levels = "" if name == baseline else f"{np.mean(columns['mean_levels']):.2f}, {max(columns['max_levels']):.0f}"
        lines.append(
            f"| `{name}` | {estimate(columns['ids']).mean:.4f} | {change} | {np.mean(columns['psnr']):.2f} "
            f"| {np.mean(columns['sharpness']):.2f} | {levels} | {np.median(columns['seconds']):.2f} |"
        )
    return "\n".join(lines) + "\n"


def _join(parts: Sequence[People]) -> People:
    """Join the people and settings of several files. Leave out people that a setting lacks."""
    joined: People = {}
    for part in parts:
        for name, values_of in part.items():
            joined.setdefault(name, {}).update(values_of)
    common = sorted(set.intersection(*(set(values_of) for values_of in joined.values())))
    return {name: {person: values_of[person] for person in common} for name, values_of in joined.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.settings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="checkpoint")
    parser.add_argument("--recognizer", type=Path, metavar="ONNX", help="recognizer that no model was trained against")
    parser.add_argument(
        "--settings", nargs="+", metavar="S", help="settings of the forms above; the first is the baseline"
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="FOLDER",
        help="folder of the rendered people; missing pictures are rendered",
    )
    parser.add_argument("--people", type=int, default=200, metavar="N", help="number of people (default: 200)")
    parser.add_argument("--first-person", type=int, default=FIRST_PERSON, metavar="SEED")
    parser.add_argument(
        "--damage", choices=get_args(Damage), default="severe", help="damage of the portraits (default: severe)"
    )
    parser.add_argument(
        "--references", type=int, default=REFERENCES, metavar="N", help=f"photos of a person (default: {REFERENCES})"
    )
    parser.add_argument("--batch", type=int, default=4, help="people to restore together")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true", help="keep the people that --json has already")
    parser.add_argument(
        "--report", type=Path, nargs="+", metavar="JSON", help="make a report from these files of scores"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file of every person's values to write")
    return parser
