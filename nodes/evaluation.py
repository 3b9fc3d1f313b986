"""The node that measures how similar two faces are."""
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

_PLOTTED = 32  # pairs in the plot; a plot of more pairs would be too large to look at
_ROWS = 4  # pairs in one picture on the node


class FaceSimilarity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_FaceSimilarity",
            category=CATEGORY,
            display_name="Face Similarity",
            description="Measures whether two pictures show the same person: the cosine similarity of their ArcFace "
            "embeddings, from -1 to 1. With the pictures before restoring, it also shows what restoring gained.",
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
                io.Image.Input("image_a", tooltip="Connect faces, one or a batch, such as the restored ones."),
                io.Image.Input(
                    "image_b",
                    tooltip="Connect the true face, or a good photo of the person: one picture for all of image_a, or "
                    "one for each.",
                ),
                FaceRecognizer.Input("face_recognizer", tooltip="Connect Load Face Recognizer."),
                FaceDetector.Input(
                    "face_detector",
                    optional=True,
                    tooltip="Connect Load Face Detector to compare the largest face of each picture. Without it, the "
                    "pictures must be aligned crops.",
                ),
                io.Image.Input(
                    "before",
                    optional=True,
                    tooltip="Connect the pictures from which image_a was restored, one for each. The report and the "
                    "plot then show the similarity to image_b before and after.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    display_name="similarity",
                    tooltip="Holds the mean similarity of all pairs.",
                ),
                io.String.Output(display_name="report", tooltip="Holds one line for each pair, and one for the mean."),
                io.Image.Output(
                    display_name="plot",
                    tooltip="Shows up to 32 pairs side by side, with bars from 0 to 1.",
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
                expected="one picture in before for each picture of image_a: the one from which it was restored",
                remedy="connect the pictures that the sampler restored to before",
            )
        truth_crops, truth = _embed(bhwc_to_model(image_b), face_recognizer, face_detector)
        batches = [("", image_a)] if before is None else [("before ", before), ("after ", image_a)]
        columns = [
            _Column(name, crops, [float(np.dot(row, truth[i % len(truth)])) for i, row in enumerate(embedded)])
            for name, images in batches
            for crops, embedded in (_embed(bhwc_to_model(images), face_recognizer, face_detector),)
        ]
        rows = [
            [*(column.cell(i) for column in columns), PlotCell(truth_crops[i % len(truth_crops)], "")]
            for i in range(min(len(image_a), _PLOTTED))
        ]
        plot = model_to_bhwc(draw_rows(rows).unsqueeze(0))
        report = _report([column.values for column in columns])
        plots = [draw_rows(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        display = {"images": save_pictures(plots, cls)}
        return io.NodeOutput(float(np.mean(columns[-1].values)), report, plot, ui=display)


class _Column(NamedTuple):
    """A column of faces in the plot: crops (batch, 3, size, size), and each one's similarity to its true face."""

    name: str
    crops: Tensor
    values: list[float]

    def cell(self, i: int) -> PlotCell:
        return PlotCell(self.crops[i], f"{self.name}{self.values[i]:.3f}", self.values[i])


def _report(columns: Sequence[Sequence[float]]) -> str:
    """Return one line for each pair and one for the mean. With two columns, each line has the difference too."""

    def line(name: str, values: Sequence[float]) -> str:
        gain = f" ({values[-1] - values[0]:+.3f})" if len(values) > 1 else ""
        return f"{name}: {' -> '.join(f'{value:.3f}' for value in values)}{gain}"

    lines = [line(str(i), values) for i, values in enumerate(zip(*columns, strict=True), 1)]
    mean = line("mean", [float(np.mean(column)) for column in columns])
    return "\n".join([*lines, mean, f"Above some {SAME_PERSON:g} two good photos usually show one person."])


def _embed(images: Tensor, recognizer: Recognizer, network: FaceNetwork | None) -> tuple[Tensor, Embeddings]:
    """Return an aligned crop (3, size, size) and an embedding (d,) for every picture, each as one batch."""
    if network is None:
        return images, embed_crops(recognizer, images)
    faces = detect_batch(list(images), SearchingDetector(network))
    largest = [_largest_face([face for face in faces if face.frame == i], i) for i in range(len(images))]
    return align_faces(list(images), largest)[1], embed_faces(recognizer, list(images), largest)


def _largest_face(faces: list[Face], picture: int) -> Face:
    if faces:
        return max(faces, key=lambda face: face.size)
    raise FaceError(
        f"No face was found in picture {picture + 1}.",
        expected="a face in every picture",
        remedy="connect pictures that show a face, or aligned crops without face_detector",
    )
