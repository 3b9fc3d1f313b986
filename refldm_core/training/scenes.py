"""Examples for the face detector: windows of rendered scenes, turned, mirrored, recolored and degraded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.corpus import CorpusSpec, DataError
from ..data.degradation import RANGES, DegradationRanges, degrade, draw
from ..data.rendered import RenderedDataset, render_scenes
from ..face.alignment import mean_crop
from ..face.types import Matrix, compose, transform_points
from ..face.warping import shift, warp
from ..files import require_regular
from ..hardware import usable_cores
from ..images import load_image
from ..paths import require_plain
from ..synthetic.dataset import SceneSetSpec
from .photometric import strong_photometric

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_MILD = DegradationRanges((0.0, 7.0), (1.0, 8.0), (0.0, 15.0), (40, 100))
_CLEAN, _MILDLY = 0.3, 0.6
"""Cumulative shares of clean and of mildly degraded examples. The others are degraded with the ranges of the training,
which reach the severity of the severe test set: the pictures of the demo and of users are like that."""

_ANYWHERE, _CLOSE_UP = 0.62, 0.9
"""Cumulative shares of windows anywhere and of windows around a face. The others are turned by quarter turns, and then
have no upright face."""

_TOO_CLOSE = 0.2
"""Share of the windows around a face that show only a part of it. Such a face is not to be found."""

_LEAST_VISIBLE = 0.3
"""Least visible share of a face: the share of its box that its skin fills. Other people hide the face below this."""

_LEAST_FACE = 12.0
"""Least height of a face in pixels. Smaller faces are not to be found."""

_MIRRORED_ORDER = [1, 0, 2, 4, 3]
"""Order of the landmarks in a mirrored face, where left and right are exchanged."""

_SCENE_SCALE = 1.5
"""Side of a scene divided by the side of an example."""


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """A square picture and the upright faces in it.

    Attributes:
        picture: (size, size, 3) uint8 RGB.
        landmarks: (n, 5, 2) in pixels. Landmarks of a face at the border may lie outside the picture.
        boxes: (n, 4) left, top, right, bottom in pixels.
    """

    picture: Picture
    landmarks: NDArray[np.float64]
    boxes: NDArray[np.float64]


class SceneSet:
    """Rendered scenes with the faces that are visible in them.

    Args:
        folder: folder with `images/` and `attributes.jsonl`, as `refldm synthesize --scenes` writes it.

    Raises:
        DataError: the folder holds no scenes, or its list of scenes is damaged.
        UnsafePathError: a name in that list would lead out of the folder.
    """

    def __init__(self, folder: Path) -> None:
        dataset = RenderedDataset(folder)
        try:
            lines = require_regular(dataset.attributes).read_text(encoding="utf-8").splitlines()
            records = [json.loads(line) for line in lines]
            names = [require_plain(record["image"], f"{dataset.attributes}") for record in records]
            self._paths = [dataset.images / name for name in names]
            self._faces: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = [
                _visible_faces(record) for record in records
            ]
            if not records:
                raise ValueError("its list of scenes is empty")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(
                f"{folder} holds no scenes ({repr(error)[:200]}).",
                expected="a folder that `refldm synthesize --scenes` wrote",
                remedy="correct corpus.folder, or set corpus.kind: synthetic",
            ) from error

    def __len__(self) -> int:
        return len(self._paths)

    def scene(self, index: int) -> TrainingScene:
        """Return a complete scene as it was rendered, with the faces that nobody hides."""
        landmarks, boxes = self._faces[index]
        return TrainingScene(_load(self._paths[index]), np.array(landmarks), np.array(boxes))

    def example(self, size: int, seed: int) -> TrainingScene:
        """Return an example: a window of a scene in other colors and quality.

        Args:
            size: height and width of the example in pixels.
            seed: seed of all random choices.
        """
        rng = np.random.default_rng(seed)
        scene = self.scene(int(rng.integers(len(self))))
        kind = rng.random()
        if kind >= _CLOSE_UP:
            # Detection also searches turned pictures, where the network must reject a face that lies on its side.
            turned = np.ascontiguousarray(np.rot90(scene.picture, int(rng.integers(1, 4))))
            scene = TrainingScene(turned, *_NO_FACES)
        close_up = kind >= _ANYWHERE and len(scene.boxes) > 0
        example = _close_up(scene, size, rng) if close_up else _window(scene, size, rng)
        if rng.random() < 0.5:
            example = _mirrored(example)
        return replace(example, picture=_change_appearance(example, rng))


def open_scenes(corpus: CorpusSpec, size: int, most_faces: int, scenes: int) -> SceneSet:
    """Open the scenes to learn from. Synthetic scenes that are missing in the cache are rendered first.

    Args:
        corpus: a "folder" of scenes, or "synthetic" people.
        size: height and width of an example in pixels.
        most_faces, scenes: for "synthetic": see `SceneSetSpec`.

    Raises:
        DataError: the folder holds no scenes.
        SettingsError: a number is out of its range.
        OutputError: the cache cannot be written.
    """
    if corpus.kind == "folder":
        return SceneSet(Path(corpus.folder))
    spec = SceneSetSpec(scenes, corpus.people, round(_SCENE_SCALE * size), most_faces, corpus.first_person)
    name = f"scenes-{spec.first_person}-{spec.people}-{spec.scenes}x{spec.most_faces}-{spec.size}px"
    dataset = RenderedDataset(Path(corpus.cache) / name)
    if not dataset.attributes.exists():  # this file is written last
        with tqdm(desc=name, total=scenes, disable=None) as bar:
            for count in render_scenes(dataset.folder, spec, usable_cores()):
                bar.update(count)
    return SceneSet(dataset.folder)


_NO_FACES = (np.zeros((0, 5, 2)), np.zeros((0, 4)))


def _visible_faces(record: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the landmarks (n, 5, 2) and the boxes (n, 4) of the faces that nobody hides.

    Raises:
        ValueError, KeyError, TypeError: The record of the scene is damaged.
    """
    shares = [float(share) for share in list(record["visible"])]
    landmarks = np.reshape(np.array(record["landmarks"], dtype=np.float64), (len(shares), 5, 2))
    boxes = np.reshape(np.array(record["boxes"], dtype=np.float64), (len(shares), 4))
    if not (np.isfinite(landmarks).all() and np.isfinite(boxes).all()):
        raise ValueError("a position of a face is not finite")
    visible = [i for i, share in enumerate(shares) if share >= _LEAST_VISIBLE]
    return landmarks[visible], boxes[visible]


@lru_cache(maxsize=512)  # 450 kilobytes each; decoding takes longer than all changes of the picture
def _load(path: Path) -> Picture:
    return np.asarray(load_image(path))


def _window(scene: TrainingScene, size: int, rng: np.random.Generator) -> TrainingScene:
    """Return a slightly turned window anywhere in a scene. Where it is larger than the scene, the scene is mirrored."""
    height = len(scene.picture)
    side = height * math.exp(rng.uniform(math.log(0.4), math.log(1.25)))
    slack = abs(height - side)
    center = 0.5 * height + rng.uniform(-0.5, 0.5, 2) * slack
    return _cut(scene, center, side, size, rng, with_faces=True)


def _close_up(scene: TrainingScene, size: int, rng: np.random.Generator) -> TrainingScene:
    """Return a window around one face, which is large in it, or too large to be found."""
    box = scene.boxes[int(rng.integers(len(scene.boxes)))]
    face = float(box[3] - box[1])
    too_close = rng.random() < _TOO_CLOSE
    side = face * (rng.uniform(0.25, 0.6) if too_close else rng.uniform(1.05, 2.6))
    center = 0.5 * (box[:2] + box[2:]) + rng.uniform(-0.5, 0.5, 2) * abs(side - face)
    example = _cut(scene, center, side, size, rng, with_faces=not too_close)
    return example if not too_close else TrainingScene(example.picture, *_NO_FACES)


def _cut(
    scene: TrainingScene,
    center: NDArray[np.float64],
    side: float,
    size: int,
    rng: np.random.Generator,
    *,
    with_faces: bool,
) -> TrainingScene:
    """Cut a square window out of a scene.

    Args:
        scene: the scene.
        center: (2,) center of the window in pixels of the scene.
        side: side of the window in pixels of the scene.
        size: side of the result in pixels.
        rng: turns the window a little.
        with_faces: whether the result has the faces whose centers are in the window; else it has none.
    """
    matrix = _window_matrix(center, side, size, float(rng.normal(0.0, math.radians(9.0))))
    image = torch.tensor(scene.picture).movedim(-1, 0).float()
    picture = warp(image, matrix, (size, size)).clamp(0.0, 255.0).round().byte().movedim(0, -1).contiguous().numpy()
    if not with_faces or not len(scene.boxes):
        return TrainingScene(picture, *_NO_FACES)
    landmarks = np.stack([transform_points(matrix, points) for points in scene.landmarks])
    boxes = np.stack([_turned_box(matrix, box) for box in scene.boxes])
    middles = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    inside = ((middles > 0) & (middles < size)).all(axis=1) & (boxes[:, 3] - boxes[:, 1] >= _LEAST_FACE)
    return TrainingScene(picture, landmarks[inside], np.minimum(np.maximum(boxes[inside], 0.0), size - 1.0))


def _window_matrix(center: NDArray[np.float64], side: float, size: int, angle: float) -> Matrix:
    """Return the (2, 3) matrix from pixels of the scene to pixels of the window."""
    scale = size / side
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[a, -b, 0.0], [b, a, 0.0]])
    middle = (size - 1) / 2
    return compose(shift(middle, middle), compose(turn, shift(-float(center[0]), -float(center[1]))))


def _turned_box(matrix: Matrix, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upright box of a face in the window. Heads are round, so that a slight turn does not enlarge it."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    middle = transform_points(matrix, 0.5 * (box[None, :2] + box[None, 2:]))[0]
    half = 0.5 * scale * (box[2:] - box[:2])
    return np.concatenate([middle - half, middle + half])


def _mirrored(example: TrainingScene) -> TrainingScene:
    last = example.picture.shape[1] - 1
    landmarks = example.landmarks[:, _MIRRORED_ORDER] * [-1.0, 1.0] + [last, 0.0]
    boxes = example.boxes[:, [2, 1, 0, 3]] * [-1.0, 1.0, -1.0, 1.0] + [last, 0.0, last, 0.0]
    return TrainingScene(np.ascontiguousarray(example.picture[:, ::-1]), landmarks, boxes)


def _change_appearance(example: TrainingScene, rng: np.random.Generator) -> Picture:
    """Return the picture in other colors, and degraded like pictures from cameras and networks."""
    image = torch.tensor(example.picture).movedim(-1, 0).float() / 255.0
    changed = strong_photometric(image, rng).mul(255.0).round().byte().movedim(0, -1).contiguous().numpy()
    quality = rng.random()
    if quality < _CLEAN:
        return changed
    seed = int(rng.integers(2**62))
    if quality < _MILDLY:
        return degrade(changed, draw(_MILD, seed))
    return degrade(
        changed, draw(RANGES["training"], seed), crop=mean_crop((changed.shape[0], changed.shape[1]), example.landmarks)
    )
