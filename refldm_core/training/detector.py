"""Train a small face detector on rendered scenes: RetinaFace (arXiv 1905.00641) in facexlib's smallest network."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..checkpoints.faces import DETECTOR_FILES
from ..checkpoints.saving import write_safetensors
from ..checkpoints.training_data import RENDERED_PEOPLE, TRAINED_ON_KEY
from ..face.backends import RetinaFaceNetwork
from ..face.packages import import_optional
from .scenes import Picture, SceneSet, TrainingScene, open_scenes
from .spec import TrainSpec
from .task import Batch, Examples, Logs, Part, derive

_OVERLAP = 0.35
"""Least intersection over union of an anchor and the face that is assigned to it."""

_NEGATIVES = 7
"""Number of anchors without a face that count, for each anchor with a face."""

_BOX_WEIGHT = 2.0
_VARIANCE = (0.1, 0.2)
"""Scales of RetinaFace's encoding: of positions and of sizes."""


class Answers(NamedTuple):
    """The right output of the network for each anchor. A batch has a leading axis.

    Attributes:
        offsets: (anchors, 4) the box in RetinaFace's encoding.
        face: (anchors,) 1 for an anchor with a face, else 0.
        points: (anchors, 10) the landmarks in the same encoding.
    """

    offsets: Tensor
    face: Tensor
    points: Tensor


class Example(NamedTuple):
    """A scene (3, size, size) uint8 RGB with its right answers."""

    picture: Tensor
    answers: Answers


class DetectorPart(Part):
    """Facexlib's network with RetinaFace's loss.

    Raises:
        MissingPackageError: facexlib is not installed.
    """

    name = "detector"

    def __init__(self) -> None:
        super().__init__()
        retinaface = import_optional("facexlib.detection.retinaface", "facexlib")
        self.network: nn.Module = retinaface.RetinaFace(
            network_name="mobile0.25", half=False, phase="train", device=torch.device("cpu")
        )
        self.network.train()  # facexlib's constructor sets evaluation mode
        # In the order blue, green, red. It is not saved, because the published files do not have it.
        self.register_buffer("mean", torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1), persistent=False)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        """See `Part`. The batch has `pictures` (n, 3, size, size) uint8 RGB and the fields of `Answers`."""
        pictures: Tensor = batch["pictures"]
        offsets, logits, points = self.network(pictures.flip(1).float() - cast(Tensor, self.mean))
        return detection_loss(offsets, logits, points, Answers(batch["offsets"], batch["face"], batch["points"]))


class SceneExamples(Examples):
    """Windows of rendered scenes with their right answers.

    Args:
        scenes: scenes to learn from.
        size: height and width of an example in pixels.
        priors: the network's anchors from `anchors`.
    """

    def __init__(self, scenes: SceneSet, size: int, priors: Tensor) -> None:
        self.scenes = scenes
        self.size = size
        self.priors = priors

    def scene(self, seed: int) -> TrainingScene:
        """Return the scene of an item."""
        return self.scenes.example(self.size, seed)

    def __getitem__(self, seed: int) -> Example:
        scene = self.scene(seed)
        picture = torch.tensor(scene.picture).movedim(-1, 0).contiguous()
        return Example(picture, encode(scene, self.priors))

    def collate(self, items: Sequence[Example]) -> Batch:
        """See `Examples`. The batch has `pictures` (n, 3, size, size) uint8 RGB and the fields of `Answers`."""
        answers = (torch.stack(answer) for answer in zip(*(item.answers for item in items), strict=True))
        return {
            "pictures": torch.stack([item.picture for item in items]),
            **dict(zip(Answers._fields, answers, strict=True)),
        }


class DetectorTask:
    """Trains a detector that `load_detector` reads as retinaface_mobile0.25.

    Args:
        spec: config of the run; `run.batch` counts scenes.

    Raises:
        MissingPackageError: facexlib is not installed.
    """

    def __init__(self, spec: TrainSpec) -> None:
        self._spec = spec
        self._part = DetectorPart()
        self.parts: Sequence[Part] = (self._part,)
        self.frozen: nn.Module = nn.Module()
        section = spec.detector
        scenes = open_scenes(spec.corpus, section.size, section.most_faces, section.scenes)
        self.examples = SceneExamples(scenes, section.size, anchors(section.size, self._part.network))

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """See `Task`."""

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """See `Task`. The weights are written in 16 bits as safetensors, under the name of the published file."""
        path = folder / DETECTOR_FILES["retinaface_mobile0.25"]
        described = {"format": "pt", "network": "RetinaFace mobile0.25", TRAINED_ON_KEY: RENDERED_PEOPLE}
        write_safetensors(self._averaged(ema), path, described)
        return [path]

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image:
        """See `Task`. The grid shows scenes with the faces that the network finds."""
        network = RetinaFaceNetwork("mobile0.25", self._averaged(ema))
        rows, columns, size = 3, 4, self._spec.detector.size
        grid = Image.new("RGB", (columns * size, rows * size))
        for i in range(rows * columns):
            picture = self.examples.scene(derive(self._spec.seed, 2, i)).picture
            grid.paste(_with_detections(picture, network), (i % columns * size, i // columns * size))
        return grid

    def _averaged(self, ema: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return the averaged weights under the published names, on the CPU."""
        part = copy.deepcopy(self._part).cpu()
        part.load_state_dict({**part.state_dict(), **ema.get(part.name, {})})
        # Only kernels are written in 16 bits: variances in the first layers, of values up to 255, may exceed float16.
        return {
            name: tensor.half().contiguous() if tensor.ndim > 1 else tensor
            for name, tensor in part.network.state_dict().items()
        }


def anchors(size: int, network: nn.Module) -> Tensor:
    """Return the anchors of a square picture: (n, 4) center x, center y, width and height as shares of its side."""
    utils = import_optional("facexlib.detection.retinaface_utils", "facexlib")
    return utils.PriorBox(cast(Any, network).cfg, image_size=(size, size)).forward()


def encode(scene: TrainingScene, priors: Tensor) -> Answers:
    """Return the right answers for a scene.

    Args:
        scene: scene with any number of faces.
        priors: the anchors from `anchors`.
    """
    answers = Answers(torch.zeros(len(priors), 4), torch.zeros(len(priors)), torch.zeros(len(priors), 10))
    if len(scene.boxes):
        match = import_optional("facexlib.detection.retinaface_utils", "facexlib").match
        size = scene.picture.shape[0]
        boxes = torch.as_tensor(scene.boxes / size).float()
        points = torch.as_tensor(scene.landmarks / size).float().flatten(1)
        # `match` writes into these tensors, at the index of the scene in a batch.
        filled = [answer.unsqueeze(0) for answer in answers]
        faces = torch.ones(len(boxes))
        match(_OVERLAP, boxes, priors, _VARIANCE, faces, points, filled[0], filled[1], filled[2], 0)
    return answers


def detection_loss(offsets: Tensor, logits: Tensor, points: Tensor, truth: Answers) -> tuple[Tensor, Logs]:
    """Return RetinaFace's loss (equation 1, without the dense branch), divided by the number of anchors with a face.

    The hardest anchors without a face are chosen from the whole batch. The code that facexlib derives from chooses them
    in each scene, where a scene without faces does not count.

    Args:
        offsets: (n, anchors, 4) predicted boxes.
        logits: (n, anchors, 2) for "no face" and "face".
        points: (n, anchors, 10) predicted landmarks.
        truth: the right answers, with the leading axis n.

    Returns:
        The loss, and its terms: `verdict` (face or not), `box` and `landmarks`.
    """
    face = truth.face > 0
    count = int(face.sum())
    entropy = F.cross_entropy(logits.float().flatten(0, 1), face.long().flatten(), reduction="none").view(face.shape)
    background = entropy[~face]
    hardest = background.topk(min(_NEGATIVES * max(count, 1), background.numel())).values
    per_face = 1.0 / max(count, 1)
    verdict = (entropy[face].sum() + hardest.sum()) * per_face
    box = F.smooth_l1_loss(offsets.float()[face], truth.offsets[face], reduction="sum") * per_face
    landmarks = F.smooth_l1_loss(points.float()[face], truth.points[face], reduction="sum") * per_face
    loss = verdict + _BOX_WEIGHT * box + landmarks
    return loss, {"verdict": verdict.detach(), "box": box.detach(), "landmarks": landmarks.detach()}


def _with_detections(picture: Picture, network: RetinaFaceNetwork) -> Image.Image:
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    boxes, scores, landmarks = network.find(picture, 0.5)
    for box, score, points in zip(boxes, scores, landmarks, strict=True):
        pen.rectangle(tuple(float(v) for v in box), outline=(255, 255, 0))
        pen.text((float(box[0]) + 2, float(box[1])), f"{float(score):.2f}", fill=(255, 255, 0))
        for x, y in points:
            pen.ellipse((float(x) - 1, float(y) - 1, float(x) + 1, float(y) + 1), fill=(0, 255, 0))
    return image
