"""Judge restored videos against the true one: the flicker of every face, and the reports of it."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import OutputError
from ..face.alignment import mean_crop
from ..face.detection import Detector, detect_batch
from ..face.errors import FaceError
from ..face.tracking import smooth_landmarks, track_faces
from ..face.types import Face
from ..files import atomic_write, make_folder
from ..images import u8_to_tensor
from ..markdown import as_text
from ..video.reading import read_frames
from .cells import as_cell
from .flicker import LEAST_PAIRS, Flicker, FlickerMeter, crop_size_for
from .identity import IdentityJudge
from .video_frames import read_together

PER_FACE, SUMMARY, MARKDOWN = "per_face.csv", "summary.json", "report.md"

MEASURES: Mapping[str, str] = {
    "deviation": "deviation",
    "excess_warping_error": "excess warping error",
    "warping_error": "warping error",
    "truth_warping_error": "the truth's",
    "identity_drift": "identity drift",
    "identity_change": "identity change",
    "truth_identity_change": "the truth's",
    "likeness": "likeness",
    "likeness_deviation": "its deviation",
}
"""Measures of `Flicker` -> headings of their columns."""

_SMOOTHING = 0.5
"""Smoothing of the truth's landmarks, as Detect Faces can do it."""
_NOTE = (
    "Deviation and warping error are in gray levels of 255, and smaller is better. Identity change is 1 - similarity "
    "from frame to frame. Drift and excess are beyond the truth's. The likeness is the similarity to the true face."
)


@dataclass(frozen=True)
class FaceFlicker:
    """The flicker of one face of a method's video. `face` is the number of its track, from 0."""

    method: str
    face: int
    flicker: Flicker

    def as_json(self) -> dict[str, Any]:
        """Return all values by name."""
        values = asdict(self.flicker) | {name: getattr(self.flicker, name) for name in MEASURES}
        return {"method": self.method, "face": self.face, **values}


@dataclass(frozen=True)
class VideoScores:
    """The flicker of all faces of all methods.

    Attributes:
        frames: number of frames of the video.
        faces: one entry for each method and face.
        ignored: number of faces that are in too few consecutive frames.
    """

    frames: int
    faces: Sequence[FaceFlicker]
    ignored: int

    def mean(self, method: str, measure: str) -> float | None:
        """Return the mean of a measure over a method's faces, weighted by their pairs; None where it has no value."""
        values = [(getattr(row.flicker, measure), row.flicker.pairs) for row in self.faces if row.method == method]
        if any(value is None for value, _ in values):
            return None
        return float(np.average([value for value, _ in values], weights=[pairs for _, pairs in values]))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(row.method for row in self.faces))

    def as_json(self) -> dict[str, Any]:
        """Return the means of each method and the values of each face."""
        means = [{"method": name, **{key: self.mean(name, key) for key in MEASURES}} for name in self.methods]
        return {
            "frames": self.frames,
            "ignored_faces": self.ignored,
            "methods": means,
            "faces": [row.as_json() for row in self.faces],
        }


def judge_videos(
    truth: Path,
    methods: Mapping[str, Path],
    detector: Detector,
    judge: IdentityJudge | None,
    on_frame: Callable[[], object] = lambda: None,
) -> VideoScores:
    """Measure the flicker of every face of the true video in the restored videos.

    Args:
        truth: file of the true video.
        methods: name -> file of a restored video, with the same frames and size.
        detector: finds the faces in the true video, and in no other.
        judge: recognizer for the identity, or None.
        on_frame: called after each frame, twice: when faces were searched, and when it was measured.

    Raises:
        FaceError: no face is in three consecutive frames of the truth.
        SettingsError, ImageFileError, MissingPackageError: see `read_together`.
    """
    sizes, tracks = _track_truth(truth, detector, on_frame)
    measured = {number: faces for number, faces in tracks.items() if _pairs(faces) >= LEAST_PAIRS}
    if not measured:
        raise FaceError(
            f"No face is in {LEAST_PAIRS + 1} consecutive frames of {truth}, which has {len(sizes)} frames.",
            expected="a video of a face",
            remedy="choose another --detector, or another video as --truth",
        )
    meters: dict[tuple[str, int], FlickerMeter] = {}
    face_at: defaultdict[int, list[tuple[int, Face]]] = defaultdict(list)
    for number, faces in measured.items():
        landmarks = np.stack([face.landmarks.points for face in faces])
        crop_size = crop_size_for(mean_crop(sizes[faces[0].frame], landmarks))
        meters |= {(name, number): FlickerMeter(crop_size, judge) for name in methods}
        for face in faces:
            face_at[face.frame].append((number, face))
    for frame, (picture, restored) in enumerate(read_together(truth, dict(methods))):
        for number, face in face_at[frame]:
            for name, restored_frame in restored.items():
                meters[name, number].add(frame, picture, restored_frame, face.landmarks)
        on_frame()
    rows = [FaceFlicker(name, number, meter.result()) for (name, number), meter in meters.items()]
    order = list(methods)
    rows.sort(key=lambda row: (order.index(row.method), row.face))
    return VideoScores(len(sizes), rows, len(tracks) - len(measured))


def _track_truth(
    path: Path, detector: Detector, on_frame: Callable[[], object]
) -> tuple[list[tuple[int, int]], dict[int, list[Face]]]:
    """Return the (height, width) of each frame, and the faces of each track in order, with smoothed landmarks."""
    faces: list[Face] = []
    sizes: list[tuple[int, int]] = []
    for frame, picture in enumerate(read_frames(path)):
        image = u8_to_tensor(torch.tensor(picture).movedim(-1, 0))
        faces += [replace(face, frame=frame) for face in detect_batch([image], detector)]
        sizes.append((picture.shape[0], picture.shape[1]))
        on_frame()
    tracks: defaultdict[int, list[Face]] = defaultdict(list)
    for face in smooth_landmarks(track_faces(faces), _SMOOTHING):
        if face.track is not None:
            tracks[face.track].append(face)
    return sizes, dict(tracks)


def _pairs(faces: Sequence[Face]) -> int:
    numbers = [face.frame for face in faces]
    return sum(after == before + 1 for before, after in pairwise(numbers))


def require_no_results(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of the results.

    Raises:
        OutputError: it holds results already and may not be overwritten, or cannot be made.
    """
    make_folder(folder)
    if not overwrite and any((folder / name).exists() for name in (PER_FACE, SUMMARY, MARKDOWN)):
        raise OutputError(
            f"{folder} holds an evaluation already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --overwrite to replace it",
        )


def markdown_lines(scores: VideoScores) -> list[str]:
    """Return a table of the methods' means over their faces, in Markdown."""
    lines = [" | ".join(["| method", "faces", *MEASURES.values()]) + " |", "|---" * (len(MEASURES) + 2) + "|"]
    for name in scores.methods:
        cells = [_cell(measure, scores.mean(name, measure)) for measure in MEASURES]
        count = sum(row.method == name for row in scores.faces)
        lines.append(f"| {as_text(name)} | {count} | {' | '.join(cells)} |")
    return lines


def write_reports(scores: VideoScores, title: str, folder: Path) -> list[Path]:
    """Write per_face.csv, summary.json and report.md into a folder, and return their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = [row.as_json() for row in scores.faces]
    with atomic_write(folder / PER_FACE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "method": as_cell(row["method"])} for row in rows)
    with atomic_write(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(scores.as_json(), indent=2) + "\n", encoding="utf-8")
    ignored = [f"{scores.ignored} faces are in too few consecutive frames."] if scores.ignored else []
    lines = [f"# {as_text(title)}", "", f"{scores.frames} frames. {_NOTE}", *ignored, "", *markdown_lines(scores)]
    with atomic_write(folder / MARKDOWN) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [folder / name for name in (PER_FACE, SUMMARY, MARKDOWN)]


def _cell(measure: str, value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.4f}" if "identity" in measure or "likeness" in measure else f"{value:.2f}"
