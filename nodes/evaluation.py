"""How alike two faces are."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face.alignment import align_faces
from ..refldm_core.face.detection import FaceNetwork, SearchingDetector, detect_batch
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.identity import Embeddings, Recognizer, embed_crops, embed_faces
from ..refldm_core.face.matching import SAME_PERSON
from ..refldm_core.face.types import Face
from ..refldm_core.images import bhwc_to_model, model_to_bhwc
from .display import save_pictures
from .drawing import PlotCell, draw_rows
from .face_types import FaceDetector, FaceRecognizer
from .images import require_images
from .types import CATEGORY, where_supported

_PLOTTED = 32  # pairs: more make a picture that nobody can look at
_ROWS = 4  # pairs in one picture inside the node


class FaceSimilarity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_FaceSimilarity",
            category=CATEGORY,
            display_name="Face Similarity",
            description="Measures whether two pictures show the same person: the cosine similarity of their ArcFace "
            "embeddings, from -1 to 1. With the pictures from before restoring too, it shows what restoring gained.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=[
                    "identity score",
                    "ids",
                    "arcface distance",
                    "compare faces",
                    "same person",
                    "before after",
                ],
            ),
            inputs=[
                io.Image.Input("image_a", tooltip="Faces, one or a batch, for instance restored ones."),
                io.Image.Input(
                    "image_b",
                    tooltip="One to compare all of image_a with, or one for each: the true face, or a good photo.",
                ),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                FaceDetector.Input(
                    "face_detector",
                    optional=True,
                    tooltip="Takes the largest face of each picture. Without, the pictures must be aligned crops.",
                ),
                io.Image.Input(
                    "before",
                    optional=True,
                    tooltip="What image_a was restored from, one for each of image_a: the report and the plot then say "
                    "how alike to image_b it was before.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="similarity", tooltip="Of image_a and image_b: mean over the pairs."),
                io.String.Output(display_name="report", tooltip="A line for each pair, and the mean."),
                io.Image.Output(
                    display_name="plot", tooltip="The first pairs side by side, up to 32, with bars from 0 to 1."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image_a: Tensor,
        image_b: Tensor,
        face_recognizer: Recognizer,
        face_detector: FaceNetwork | None = None,
        before: Tensor | None = None,
    ) -> io.NodeOutput:
        image_a, image_b = require_images(image_a, "image_a"), require_images(image_b, "image_b")
        before = None if before is None else require_images(before, "before")
        if not len(image_a) or len(image_b) not in (1, len(image_a)):
            raise SettingsError(
                f"{len(image_a)} pictures cannot be compared with {len(image_b)}.",
                expected="one picture in image_b, or as many as in image_a, and at least one",
                remedy="connect batches of the same length",
            )
        if before is not None and len(before) != len(image_a):
            raise SettingsError(
                f"There are {len(before)} pictures in before, and {len(image_a)} in image_a.",
                expected="for each picture of image_a the one that it was restored from",
                remedy="connect what the sampler was given",
            )
        truth_crops, truth = _embedded(bhwc_to_model(image_b), face_recognizer, face_detector)
        named = [("", image_a)] if before is None else [("before ", before), ("after ", image_a)]
        columns = [
            _Column(name, crops, [float(np.dot(row, truth[i % len(truth)])) for i, row in enumerate(embedded)])
            for name, images in named
            for crops, embedded in (_embedded(bhwc_to_model(images), face_recognizer, face_detector),)
        ]
        rows = [
            [*(column.cell(i) for column in columns), PlotCell(truth_crops[i % len(truth_crops)], "")]
            for i in range(min(len(image_a), _PLOTTED))
        ]
        plot = model_to_bhwc(draw_rows(rows).unsqueeze(0))
        report = _report([column.values for column in columns])
        shown = {"images": save_pictures([draw_rows(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)], cls)}
        return io.NodeOutput(float(np.mean(columns[-1].values)), report, plot, ui=shown)


class _Column(NamedTuple):
    """Faces of a plot: their crops (batch, 3, size, size), and how alike each is to the face that it belongs to."""

    name: str
    crops: Tensor
    values: list[float]

    def cell(self, i: int) -> PlotCell:
        return PlotCell(self.crops[i], f"{self.name}{self.values[i]:.3f}", self.values[i])


def _report(columns: Sequence[Sequence[float]]) -> str:
    """A line for each pair and one for the mean; of two columns also the difference."""

    def line(name: str, values: Sequence[float]) -> str:
        gain = f" ({values[-1] - values[0]:+.3f})" if len(values) > 1 else ""
        return f"{name}: {' -> '.join(f'{value:.3f}' for value in values)}{gain}"

    lines = [line(str(i), values) for i, values in enumerate(zip(*columns, strict=True), 1)]
    mean = line("mean", [float(np.mean(column)) for column in columns])
    return "\n".join([*lines, mean, f"Above some {SAME_PERSON:g} two good photos usually show one person."])


def _embedded(images: Tensor, recognizer: Recognizer, network: FaceNetwork | None) -> tuple[Tensor, Embeddings]:
    """Aligned crops (batch, 3, size, size) and embeddings (batch, d), one of each for every picture."""
    if network is None:
        return images, embed_crops(recognizer, images)
    faces = detect_batch(list(images), SearchingDetector(network))
    largest = [_largest([face for face in faces if face.frame == i], i) for i in range(len(images))]
    return align_faces(list(images), largest)[1], embed_faces(recognizer, list(images), largest)


def _largest(faces: list[Face], picture: int) -> Face:
    if faces:
        return max(faces, key=lambda one: one.size)
    raise FaceError(
        f"No face was found in picture {picture + 1}.",
        expected="a face in every picture",
        remedy="leave the detector out and connect aligned crops",
    )
