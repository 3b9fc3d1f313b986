"""Measure the embedded face detector and recognizer on unseen rendered people, and on photographs of real people.

python -m benchmarks.face_networks --people FOLDER --output report.md
python -m benchmarks.face_networks --people FOLDER --photographs PHOTOS    also on photographs, which needs dlib
python -m benchmarks.face_networks --people FOLDER --recognizer R.onnx     with another recognizer

--people holds the rendered people of the likeness benchmark (`--cases`); missing pictures are rendered. The scenes for
the detector are rendered in memory. A photograph's name is PERSON_NUMBER.jpg. dlib (pip install -e ".[judge]") finds
the true faces in the photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.evaluation.report import markdown_table
from refldm_core.face.detection import Detector
from refldm_core.face.identity import ArcFaceRecognizer, cosine, embed_crops, embed_faces
from refldm_core.images import u8_to_tensor

from ..common.measuring import machine
from ..common.reporting import run_and_report
from ..likeness.cases import FIRST_PERSON, Cases, render_with_progress
from ..likeness.protocol import to_batch
from .detection import MOST_FACES, SCENE_SIZE, DetectionScores, KnownFaces, score_detector, unseen_scenes
from .photographs import Photograph, read_photographs
from .recognition import RecognitionScores, score_recognizer

_CROP_SIZE = 128
_DETECTOR_HEADINGS = ["kind", "damage", "faces", "found", "false", "landmarks: median error in eye distances"]
_RECOGNIZER_HEADINGS = [
    "kind",
    "people",
    "pictures",
    "AUC",
    "same person",
    "two people",
    "nearest is right",
]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.face_networks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=Path, required=True, metavar="FOLDER", help="folder of the rendered people")
    parser.add_argument("--recognizer", type=Path, metavar="ONNX", help="recognizer (default: the embedded one)")
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="folder of photographs, one person in each")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="number of people (default: 200)")
    parser.add_argument("--scenes", type=int, default=100, metavar="N", help="number of scenes (default: 100)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    args = parser.parse_args(argv)
    return run_and_report(lambda: measure(args), args.output)


def measure(args: argparse.Namespace) -> str:
    """Measure the networks, and return the report.

    Raises:
        ReFLDMError: a file or a setting cannot be used.
    """
    recognizer = load_recognizer(args.recognizer or embedded.require(embedded.RECOGNIZER))
    detector = load_detector("embedded", embedded.FOLDER)
    photographs = read_photographs(args.photographs) if args.photographs else []
    scenes = tqdm(unseen_scenes(args.scenes), total=args.scenes, desc="scenes", disable=None)
    detection = _detector_rows("rendered scenes", scenes, detector)
    recognition = [_recognizer_row("rendered people", _score_people(args.people, args.count, recognizer))]
    if photographs:
        detection += _detector_rows("photographs", [photograph.known for photograph in photographs], detector)
        recognition.append(_recognizer_row("photographs", _score_photographs(photographs, recognizer)))
    lines = [
        "# The embedded face networks",
        "",
        f"Machine: {machine('cpu')}, torch {torch.__version__}",
        "",
        "## Detector",
        "",
        *markdown_table([_DETECTOR_HEADINGS, *detection]),
        "",
        f"The scenes have {SCENE_SIZE} pixels along each side, and show 1 to {MOST_FACES} people whom the detector was "
        "not trained on. Severe damage is the severe degradation for a crop of the mean face. dlib finds the true "
        "faces of photographs.",
        "",
        "## Recognizer",
        "",
        *markdown_table([_RECOGNIZER_HEADINGS, *recognition]),
        "",
        "AUC is the probability that two pictures of one person are more similar than pictures of two people. The "
        "similarities are cosines.",
        "",
    ]
    return "\n".join(lines)


def _score_people(folder: Path, count: int, recognizer: ArcFaceRecognizer) -> RecognitionScores:
    cases = Cases(folder, FIRST_PERSON, count, _CROP_SIZE)
    render_with_progress(cases)
    seeds = range(cases.first, cases.first + count)
    albums = [[case.truth.picture, *case.own] for case in map(cases.case, seeds)]
    names = [str(seed) for seed, album in zip(seeds, albums, strict=True) for _ in album]
    embeddings = embed_crops(recognizer, to_batch([picture for album in albums for picture in album]))
    return score_recognizer(cosine(embeddings, embeddings), names)


def _score_photographs(photographs: Sequence[Photograph], recognizer: ArcFaceRecognizer) -> RecognitionScores:
    images = [u8_to_tensor(torch.tensor(photograph.known.picture).movedim(-1, 0)) for photograph in photographs]
    faces = [photograph.face(number) for number, photograph in enumerate(photographs)]
    embeddings = embed_faces(recognizer, images, faces)
    return score_recognizer(cosine(embeddings, embeddings), [photograph.person for photograph in photographs])


def _detector_rows(name: str, pictures: Iterable[KnownFaces], detector: Detector) -> list[list[str]]:
    undamaged, damaged = score_detector(pictures, detector)
    return [[name, "none", *_cells(undamaged)], [name, "severe", *_cells(damaged)]]


def _cells(scores: DetectionScores) -> list[str]:
    recall = f"{scores.found} ({scores.recall:.0%})"
    return [str(scores.faces), recall, str(scores.false), f"{scores.landmark_error:.3f}"]


def _recognizer_row(name: str, scores: RecognitionScores) -> list[str]:
    counts = [str(scores.people), str(scores.pictures)]
    return [
        name,
        *counts,
        f"{scores.auc:.4f}",
        f"{scores.same:.3f}",
        f"{scores.different:.3f}",
        f"{scores.nearest:.1%}",
    ]
