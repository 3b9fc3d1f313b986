"""How alike two faces are."""
# pyright: reportMissingImports=false

from __future__ import annotations

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
from .drawing import draw_pairs
from .face_types import FaceDetector, FaceRecognizer
from .types import schema

_PLOTTED = 32  # pairs: more make a picture that nobody can look at


class FaceSimilarity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FaceSimilarity",
            display_name="Face Similarity",
            description="Measures whether two pictures show the same person: the cosine similarity of their ArcFace "
            "embeddings, from -1 to 1.",
            search_aliases=["identity score", "ids", "arcface distance", "compare faces", "same person"],
            inputs=[
                io.Image.Input("image_a", tooltip="Faces, one or a batch."),
                io.Image.Input("image_b", tooltip="One to compare all of image_a with, or one for each."),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                FaceDetector.Input(
                    "face_detector",
                    optional=True,
                    tooltip="Takes the largest face of each picture. Without, the pictures must be aligned crops.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="similarity", tooltip="Mean over the pairs."),
                io.String.Output(display_name="report", tooltip="A line for each pair."),
                io.Image.Output(display_name="plot", tooltip="The first pairs side by side, up to 32."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image_a: Tensor,
        image_b: Tensor,
        face_recognizer: Recognizer,
        face_detector: FaceNetwork | None = None,
    ) -> io.NodeOutput:
        if not len(image_a) or len(image_b) not in (1, len(image_a)):
            raise SettingsError(
                f"{len(image_a)} pictures cannot be compared with {len(image_b)}.",
                expected="one picture in image_b, or as many as in image_a, and at least one",
                remedy="connect batches of the same length",
            )
        faces_a, a = _embedded(bhwc_to_model(image_a), face_recognizer, face_detector)
        faces_b, b = _embedded(bhwc_to_model(image_b), face_recognizer, face_detector)
        values = [float(np.dot(row, b[i % len(b)])) for i, row in enumerate(a)]
        pairs = [(faces_a[i], faces_b[i % len(faces_b)], f"{value:.3f}") for i, value in enumerate(values[:_PLOTTED])]
        lines = [f"{i + 1}: {value:.3f}" for i, value in enumerate(values)]
        report = "\n".join([*lines, f"Above some {SAME_PERSON:g} two good photos usually show one person."])
        return io.NodeOutput(float(np.mean(values)), report, model_to_bhwc(draw_pairs(pairs).unsqueeze(0)))


def _embedded(images: Tensor, recognizer: Recognizer, network: FaceNetwork | None) -> tuple[Tensor, Embeddings]:
    """Aligned crops (batch, 3, size, size) and embeddings (batch, d), one of each for every picture."""
    if network is None:
        return images, embed_crops(recognizer, images)
    found = detect_batch(list(images), SearchingDetector(network))
    largest = [_largest([one for one in found if one.frame == i], i) for i in range(len(images))]
    return align_faces(list(images), largest)[1], embed_faces(recognizer, list(images), largest)


def _largest(faces: list[Face], picture: int) -> Face:
    if faces:
        return max(faces, key=lambda one: one.size)
    raise FaceError(
        f"No face was found in picture {picture + 1}.",
        expected="a face in every picture",
        remedy="leave the detector out and connect aligned crops",
    )
