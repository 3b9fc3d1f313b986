"""Measure the flicker of restored videos, on rendered people whom no model has seen, in several temporal modes.

python -m benchmarks.video --clips clips --output video.md --json video.json --sheet video.png
python -m benchmarks.video --clips clips --json video.json --resume      goes on with the people that the file lacks
python -m benchmarks.video --report video.json --output video.md         makes the report of such a file
python -m benchmarks.video --clips clips --modes "new noise" "steadied crops, 0.5"      compares only these modes
python -m benchmarks.video --clips clips --modes "new noise" --sampling video balanced dpmpp_2m:4:1.0
                                       also steadied crops of 0.5 with each preset or setting of benchmarks.settings

Each clip is degraded severely and moderately; only the noise differs between its frames. Its face is found, tracked and
restored with 3 references of the person by the embedded models in every mode. The restored faces
are pasted into the degraded frames, which are compared with the true frames: `refldm_core/evaluation/flicker.py`
defines the measures of flicker. The identity is judged by the embedded recognizer, which the restorer was not trained
against.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from refldm_core.data.corpus import Picture
from refldm_core.data.degradation_kinds import Kind
from refldm_core.demo.showing import Networks, load_networks, to_picture
from refldm_core.evaluation.flicker import FlickerMeter
from refldm_core.evaluation.identity import PublishedIdentity
from refldm_core.evaluation.metrics import psnr
from refldm_core.face.color import ColorMatch
from refldm_core.face.paste import PasteSettings, paste_faces
from refldm_core.face.tracking import face_seed
from refldm_core.face.types import Landmarks5
from refldm_core.files import make_folder
from refldm_core.images import save_image
from refldm_core.pipeline import SamplingSettings
from refldm_core.temporal import restore_tracks, with_steady_colors

from ..common.measuring import machine
from ..common.reporting import run_and_report, write
from ..likeness.contact_sheet import Cell, contact_sheet
from ..likeness.protocol import gradient_energy, to_batch
from ..likeness.scores import read_scores, require_same
from .clips import FIRST_PERSON, Footage, TrueClip, degraded_clip, true_clip
from .modes import COPY, DEGRADED, MODES, Mode, steadied_modes
from .report import BASELINE, Values, describe

KINDS: tuple[Kind, ...] = ("severe", "moderate")
_SEED = 2024
_SHEET_MODES = (DEGRADED, "new noise", "fixed noise", "previous latent, 0.5", "steadied crops, 0.5")
_SHEET_FRAMES = 5


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if not (args.report or args.clips):
        parser.error("--clips is needed, or --report")
    if BASELINE not in args.modes:
        parser.error(f'--modes must have "{BASELINE}", with which the others are compared')

    def make_report() -> str:
        return describe(read_scores(args.report) if args.report else evaluate(args))

    return run_and_report(make_report, args.output, args.json, args.sheet)


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Restore and judge every clip in every mode. Write the file of scores after each person."""
    networks = load_networks()
    settings = SamplingSettings(steps=args.steps, sampler="dpmpp_2m")
    modes = {name: mode for name, mode in MODES.items() if name in args.modes} | steadied_modes(args.sampling)
    run: dict[str, Any] = {
        "about": {
            "model": networks.restorer.unet.fingerprint,
            "first_person": args.first_person,
            "frames": args.frames,
            "sampling": settings.as_json(),
            "modes": {name: mode.as_json() for name, mode in modes.items()},
        },
        "machine": f"{machine('cpu')}, torch {torch.__version__}",
        "people": {},
    }
    if tuple(args.kinds) != KINDS:  # the earliest files have both kinds, and do not say so
        run["about"]["kinds"] = list(args.kinds)
    if args.resume and args.json and args.json.exists():
        earlier = read_scores(args.json)
        require_same(earlier["about"], run["about"])
        run["people"] = earlier["people"]
    make_folder(args.clips)
    seeds = range(args.first_person, args.first_person + args.people)
    for seed in tqdm([seed for seed in seeds if str(seed) not in run["people"]], desc="people", disable=None):
        truth = true_clip(args.clips, seed, args.frames, networks.restorer.spec.crop_size)
        scores: dict[str, dict[str, Values]] = {}
        for kind in args.kinds:
            scores[kind], films = _judge_clip(truth, seed, kind, networks, settings, modes=modes)
            if args.sheet and seed == args.first_person and kind == "severe":
                _write_sheet(args.sheet, truth, films, networks.restorer.spec.crop_size)
        run["people"][str(seed)] = scores
        if args.json:
            write(args.json, json.dumps(run, indent=1) + "\n")
    return run


def _judge_clip(
    truth: TrueClip,
    seed: int,
    kind: Kind,
    networks: Networks,
    settings: SamplingSettings,
    *,
    modes: Mapping[str, Mode],
) -> tuple[dict[str, Values], dict[str, list[Picture]]]:
    """Return the values and the frames of each mode."""
    restorer = networks.restorer
    size = restorer.spec.crop_size
    degraded = degraded_clip(truth, seed, kind, networks)
    footage = {averaged: degraded.footage(truth, size, temporal=averaged) for averaged in (False, True)}
    references = restorer.encode_references(to_batch(list(truth.references)))
    best = restorer.decode(restorer.encode(footage[True].true_crops))
    films = {DEGRADED: list(degraded.frames), COPY: _paste(footage[True], best, "none")}
    seconds = {DEGRADED: 0.0, COPY: 0.0}
    for name, mode in modes.items():
        film = footage[mode.averaged]
        begin = time.perf_counter()
        restored = restore_tracks(
            restorer,
            film.crops,
            film.faces.faces,
            [references] * len(film.crops),
            [face_seed(_SEED, face, 0) + mode.new_noise * face.frame for face in film.faces.faces],
            settings=mode.sampling or settings,
            temporal=mode.temporal,
        )
        seconds[name] = (time.perf_counter() - begin) / len(film.crops)
        if mode.steady_colors:
            restored = with_steady_colors(restored, film.crops, film.faces.faces)
        films[name] = _paste(film, restored, "none" if mode.steady_colors else "wavelet")
    judge = PublishedIdentity(networks.recognizer)
    detected_share = len(footage[True].faces) / len(degraded.frames)
    values = {
        name: {**_judge(truth, frames, judge, size), "seconds": seconds[name], "detected_share": detected_share}
        for name, frames in films.items()
    }
    return values, films


def _paste(film: Footage, crops: torch.Tensor, color: ColorMatch) -> list[Picture]:
    pasted = paste_faces(film.pictures, film.faces, crops.clamp(-1.0, 1.0), PasteSettings(color=color))
    return [to_picture(picture.image) for picture in pasted]


def _judge(truth: TrueClip, frames: Sequence[Picture], judge: PublishedIdentity, size: int) -> Values:
    meter = FlickerMeter(size, judge)
    for number, (true_frame, frame) in enumerate(zip(truth.frames, frames, strict=True)):
        meter.add(number, true_frame, frame, Landmarks5(truth.landmarks[number]))
    flicker = meter.result()
    true_crops, crops = ([to_picture(crop) for crop in truth.true_crops(f, size)] for f in (truth.frames, list(frames)))
    pairs = list(zip(crops, true_crops, strict=True))
    assert flicker.identity_drift is not None and flicker.likeness is not None
    return {
        "deviation": flicker.deviation,
        "excess_warping_error": flicker.excess_warping_error,
        "identity_drift": flicker.identity_drift,
        "likeness": flicker.likeness,
        "psnr": float(np.mean([psnr(crop, true_crop) for crop, true_crop in pairs])),
        "sharpness": float(np.mean([gradient_energy(crop) / gradient_energy(true_crop) for crop, true_crop in pairs])),
    }


def _write_sheet(path: Path, truth: TrueClip, films: dict[str, list[Picture]], size: int) -> None:
    """Write a picture of consecutive frames: a row for each of several modes, and one for the truth."""
    start = len(truth.frames) // 3
    shown = slice(start, start + _SHEET_FRAMES)
    rows: list[list[Cell]] = []
    for name, frames in {
        **{name: films[name] for name in _SHEET_MODES if name in films},
        "truth": list(truth.frames),
    }.items():
        crops = truth.true_crops(frames, size)[shown]
        rows.append([Cell(to_picture(crop), name) for crop in crops])
    save_image(contact_sheet([f"frame {start + i}" for i in range(len(rows[0]))], rows), path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.video", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", type=Path, metavar="FOLDER", help="folder of the true clips; missing ones are rendered"
    )
    parser.add_argument("--people", type=int, default=20, metavar="N", help="number of people (default: 20)")
    parser.add_argument("--frames", type=int, default=48, metavar="N", help="frames of each clip (default: 48)")
    parser.add_argument("--steps", type=int, default=5, metavar="N", help="dpmpp_2m steps of a frame (default: 5)")
    parser.add_argument(
        "--modes", nargs="+", choices=list(MODES), default=list(MODES), metavar="MODE", help="modes (default: all)"
    )
    parser.add_argument(
        "--sampling", nargs="+", default=[], metavar="S", help="presets or settings, each with steadied crops of 0.5"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of degradation (default: both)")
    parser.add_argument("--first-person", type=int, default=FIRST_PERSON, metavar="SEED")
    parser.add_argument("--resume", action="store_true", help="keep the people that --json has already")
    parser.add_argument("--report", type=Path, metavar="JSON", help="make a report of this file of scores")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file of every clip's values to write")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="picture of the first person's frames to write")
    return parser
