"""What Detect Faces shows: the preview with numbered boxes, and the content of the face picker."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.face import types as face
from .display import LONGEST_OF_MANY, MANY, describe_face, save_pictures
from .drawing import draw_faces


def draw_previews(images: Tensor, fit: face.Faces, chosen: face.Faces) -> list[Tensor]:
    taken = {id(item) for item in chosen.faces}
    longest = LONGEST_OF_MANY if len(images) > MANY else None  # a video would take as much memory once more
    drawn: list[Tensor] = []
    for frame, image in enumerate(images):
        ordered = [fit.faces[i] for i in fit.in_frame(frame)]
        labels = [(item, _label(i, item), id(item) in taken) for i, item in enumerate(ordered)]
        drawn.append(draw_faces(image, labels, longest))
    return drawn


def describe_pictures(
    images: Tensor, fit: face.Faces, chosen: face.Faces, cls: type[io.ComfyNode]
) -> list[dict[str, Any]]:
    """What the face picker shows; see `shown`."""
    taken = {id(item) for item in chosen.faces}
    described: list[dict[str, Any]] = []
    for frame, picture in enumerate(save_pictures(images, cls)):
        ordered = [fit.faces[i] for i in fit.in_frame(frame)]
        faces = [{**describe_face(i, item), "selected": id(item) in taken} for i, item in enumerate(ordered)]
        height, width = fit.image_sizes[frame]
        described.append({"size": [width, height], "picture": picture, "faces": faces})
    return described


def _label(number: int, item: face.Face) -> str:
    return str(number) if item.track is None else f"{number} (track {item.track})"
