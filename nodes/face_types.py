"""What the sockets between the face nodes carry."""
# pyright: reportMissingImports=false

from __future__ import annotations

from comfy_api.latest import io

from .types import ADVANCED

Faces = io.Custom("REFLDM_FACES")
"""The core's `Faces`: of a batch of pictures, with the transform of each one's crop."""

FaceDetector = io.Custom("REFLDM_FACE_DETECTOR")
"""A `FaceNetwork`; how to search is the detecting node's matter."""

FaceRecognizer = io.Custom("REFLDM_FACE_RECOGNIZER")
"""A `Recognizer`."""

FaceParser = io.Custom("REFLDM_FACE_PARSER")
"""A `FaceParser`."""


def crop_size_input() -> io.Int.Input:
    return io.Int.Input(
        "crop_size",
        default=512,
        min=64,
        max=2048,
        step=8,
        tooltip="Pixels along each side of the aligned crops. 512 is what the official model works at; the sampler "
        "resizes others.",
        **ADVANCED,
    )
