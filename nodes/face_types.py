"""The socket types between the face nodes."""
# pyright: reportMissingImports=false

from __future__ import annotations

from comfy_api.latest import io

from .types import ADVANCED

Faces = io.Custom("REFLDM_FACES")
"""The core's `Faces`: the faces of a batch of pictures, with the transform of each face's crop."""

FaceDetector = io.Custom("REFLDM_FACE_DETECTOR")
"""A `FaceNetwork`. The node that detects has the settings of the search."""

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
        tooltip="Set the side of the aligned crops in pixels. The official model works at 512. The sampler resizes "
        "crops of another size.",
        **ADVANCED,
    )


def threshold_input(advice: str = "") -> io.Float.Input:
    """Return the input for the confidence of detected faces.

    Args:
        advice: More text for the tooltip. It begins with a space.
    """
    return io.Float.Input(
        "threshold",
        default=0.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip=f"Set the lowest confidence of a detected face. 0 takes the value of the detector's authors.{advice}",
        **ADVANCED,
    )
