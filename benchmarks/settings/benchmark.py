"""What fewer steps, less guidance or a shorter number type cost in likeness, on rendered people that no model has seen.

python -m benchmarks.settings --model M.safetensors --recognizer HELDOUT.onnx --cases people \
    --settings ddim:50 dpmpp_2m:10 --json scores.json --output report.md
python -m benchmarks.settings ... --json scores.json --resume        goes on with the people not yet in the file
python -m benchmarks.settings --report scores.json more.json --output report.md

A setting is SAMPLER:STEPS[:GUIDANCE[:LOW-HIGH]][,strength=S][,references=W][@TYPE]. LOW-HIGH are the timesteps that
are guided, S is how far the face may move, and W is how much the references count (`SamplingSettings`). Each person's
severely degraded portrait is restored with 3 references, from the same noise in every setting; differences are to the
first setting, person by person.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.download import sha256_of
from refldm_core.data.corpus import Picture
from refldm_core.diffusion.sampling import SamplerName
from refldm_core.errors import SettingsError
from refldm_core.evaluation.statistics import difference, estimate
from refldm_core.face.identity import ArcFaceRecognizer
from refldm_core.pipeline import Restorer, SamplingSettings

from ..common.measuring import machine
from ..common.reporting import run_and_report, write
from ..likeness.cases import FIRST_PERSON, REFERENCES, Case, Cases, render_with_progress
from ..likeness.protocol import Recognizers, score, to_batch, to_pictures
from ..likeness.scores import require_same

Values = dict[str, float]
"""Metric -> value of one picture."""
People = dict[str, dict[str, Values]]
"""Setting -> person -> values."""

_FORM = re.compile(
    r"(?P<sampler>ddim|dpmpp_2m):(?P<steps>\d+)(:(?P<guidance>\d+(\.\d+)?)(:(?P<low>\d+)-(?P<high>\d+))?)?"
    r"(,strength=(?P<strength>\d+(\.\d+)?))?(,references=(?P<references>\d+(\.\d+)?))?(@(?P<type>\w+))?"
)
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Setting:
    """How to sample, and the type to compute in."""

    name: str
    sampling: SamplingSettings
    dtype: torch.dtype

    @staticmethod
    def parse(text: str) -> Setting:
        """Raises: SettingsError: not of the form above."""
        found = _FORM.fullmatch(text)
        dtype = _TYPES.get((found["type"] or "float32") if found else "")
        if found is None or dtype is None:
            raise SettingsError(
                f"The setting {text} has no meaning.",
                expected="SAMPLER:STEPS[:GUIDANCE[:LOW-HIGH]][,strength=S][,references=W][@TYPE], such as "
                "dpmpp_2m:10:1.5:200-999@bfloat16",
                remedy="correct --settings",
            )
        more: dict[str, Any] = {"guidance_interval": (int(found["low"]), int(found["high"]))} if found["low"] else {}
        more["strength"] = float(found["strength"] or 1.0)
        more["reference_strength"] = float(found["references"] or 1.0)
        sampler = cast(SamplerName, found["sampler"])
        guidance = float(found["guidance"] or 1.5)
        return Setting(text, SamplingSettings(int(found["steps"]), sampler, guidance=guidance, **more), dtype)


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if not (args.report or (args.model and args.recognizer and args.settings and args.cases)):
        parser.error("--model, --recognizer, --settings and --cases are needed, or --report")

    def make() -> str:
        if not args.report:
            return describe(evaluate(args), machine("cpu"))
        data = [_read(path) for path in args.report]
        for other in data[1:]:
            require_same(data[0]["about"], other["about"])
        return describe(_joined([d["people"] for d in data]), "; ".join(dict.fromkeys(d["machine"] for d in data)))

    return run_and_report(make, args.output, args.json)


def evaluate(args: argparse.Namespace) -> People:
    """Restore every person in every setting; the file is written after each batch of people."""
    settings = [Setting.parse(text) for text in args.settings]
    recognizer = ArcFaceRecognizer(args.recognizer)

    @cache
    def restorer(dtype: torch.dtype) -> Restorer:
        loaded = load_model(args.model, dtype=dtype, device=args.device)
        return Restorer(loaded.unet, loaded.first_stage, loaded.spec)

    people: People = {setting.name: {} for setting in settings}
    about = {
        "model": restorer(settings[0].dtype).unet.fingerprint,
        "recognizer": sha256_of(args.recognizer),
        "baseline": settings[0].name,
    }
    if args.resume and args.json and args.json.exists():
        earlier = _read(args.json)
        require_same(earlier["about"], about)
        people |= {name: found for name, found in earlier["people"].items() if name in people}
    everyone = range(args.first_person, args.first_person + args.people)
    size = restorer(settings[0].dtype).spec.crop_size
    cases_of_all = Cases(args.cases, args.first_person, args.people, size)
    render_with_progress(cases_of_all)
    todo = [who for who in everyone if any(str(who) not in found for found in people.values())]
    for start in tqdm(range(0, len(todo), args.batch), desc=f"{args.batch} people", disable=None):
        batch = todo[start : start + args.batch]
        cases = [cases_of_all.case(who) for who in batch]
        baseline: list[Picture] = []
        for setting in settings:
            begin = time.perf_counter()
            pictures = _restore(restorer(setting.dtype), cases, setting.sampling)
            seconds = (time.perf_counter() - begin) / len(cases)
            baseline = baseline or pictures
            for case, picture, first in zip(cases, pictures, baseline, strict=True):
                values = _values(case, picture, first, recognizer)
                people[setting.name][str(case.person)] = {**values, "seconds": seconds}
        if args.json:
            write(args.json, json.dumps({"machine": machine("cpu"), "about": about, "people": people}, indent=1) + "\n")
    return people


def _restore(restorer: Restorer, cases: Sequence[Case], sampling: SamplingSettings) -> list[Picture]:
    references = [restorer.encode_references(to_batch(case.own)) for case in cases]
    lq = to_batch([case.lq for case in cases])
    return to_pictures(restorer.restore(lq, references, [case.person for case in cases], sampling))


def _values(case: Case, picture: Picture, first: Picture, recognizer: ArcFaceRecognizer) -> Values:
    scores = score(case, {"restored": picture}, Recognizers(recognizer))["restored"]
    levels = np.abs(picture.astype(np.int16) - first.astype(np.int16))
    kept = {name: scores[name] for name in ("ids", "psnr", "ssim", "sharpness")}
    return {**cast(Values, kept), "mean_levels": float(levels.mean()), "max_levels": float(levels.max())}


def describe(people: People, where: str) -> str:
    """The Markdown report; differences are to the first setting, with their standard errors over people."""
    baseline, *_ = people
    count = len(people[baseline])
    lines = [
        f"{count} rendered people that no model has seen, severe degradation, {REFERENCES} references, held-out "
        f"recognizer. Differences are to `{baseline}`, person by person, ± their standard error. Machine: {where}.",
        "",
        "| setting | IDS | IDS difference | PSNR (dB) | sharpness | gray levels, mean and largest difference "
        "| seconds a face |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in people.items():
        columns = {metric: [found[who][metric] for who in people[baseline]] for metric in next(iter(found.values()))}
        gain = difference(columns["ids"], [people[baseline][who]["ids"] for who in people[baseline]])
        change = "" if name == baseline else f"{gain.mean:+.4f} ± {gain.error:.4f}"
        levels = "" if name == baseline else f"{np.mean(columns['mean_levels']):.2f}, {max(columns['max_levels']):.0f}"
        lines.append(
            f"| `{name}` | {estimate(columns['ids']).mean:.4f} | {change} | {np.mean(columns['psnr']):.2f} "
            f"| {np.mean(columns['sharpness']):.2f} | {levels} | {np.median(columns['seconds']):.2f} |"
        )
    return "\n".join(lines) + "\n"


def _joined(parts: Sequence[People]) -> People:
    """People and settings of several files; only people that every setting has."""
    joined: People = {}
    for part in parts:
        for name, found in part.items():
            joined.setdefault(name, {}).update(found)
    everywhere = set.intersection(*(set(found) for found in joined.values()))
    return {name: {who: found[who] for who in sorted(everywhere)} for name, found in joined.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"machine": str(data["machine"]), "about": dict(data["about"]), "people": dict(data["people"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a file of scores ({error!r}).",
            expected="a file that this benchmark wrote with --json",
            remedy="name another file, or evaluate again",
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.settings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="checkpoint")
    parser.add_argument("--recognizer", type=Path, metavar="ONNX", help="held-out recognizer")
    parser.add_argument("--settings", nargs="+", metavar="S", help="see above; the first is the baseline")
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="FOLDER",
        help="where the rendered people are; those that are missing are rendered",
    )
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--first-person", type=int, default=FIRST_PERSON, metavar="SEED")
    parser.add_argument("--batch", type=int, default=4, help="people at a time")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true", help="keep what --json has already")
    parser.add_argument("--report", type=Path, nargs="+", metavar="JSON", help="report of several files")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file of every person's values to write")
    return parser
