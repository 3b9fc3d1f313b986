"""The data that Detect Faces shows on the page: previews with numbered boxes, and the faces of the picker."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.face import types as face
from .display import LONGEST_OF_MANY, MANY, describe_face, save_pictures
from .drawing import draw_faces


def draw_previews(images: Sequence[Tensor], numbered: face.Faces, chosen: face.Faces) -> Iterator[Tensor]:
    """Draw the boxes and numbers of faces into their pictures, picture by picture.

    Args:
        images: (3, height, width) in [-1, 1] each.
        numbered: The faces that are large enough, in their order. Their places in a picture are their numbers.
        chosen: The chosen faces among them.

    Yields:
        (3, height, width) in [-1, 1] for each picture; a large batch gives small pictures.
    """
    chosen_ids = {id(item) for item in chosen.faces}
    longest = LONGEST_OF_MANY if len(images) > MANY else None  # full-size previews would double the memory of a video
    for frame, image in enumerate(images):
        ordered = [numbered.faces[i] for i in numbered.in_frame(frame)]
        labels = [(item, _label(i, item), id(item) in chosen_ids) for i, item in enumerate(ordered)]
        yield draw_faces(image, labels, longest)


def describe_pictures(
    images: Sequence[Tensor], numbered: face.Faces, chosen: face.Faces, cls: type[io.ComfyNode]
) -> list[dict[str, Any]]:
    """Return the data of the face picker, as described in `display`. The arguments are those of `draw_previews`."""
    chosen_ids = {id(item) for item in chosen.faces}
    descriptions: list[dict[str, Any]] = []
    for frame, picture in enumerate(save_pictures(images, cls)):
        ordered = [numbered.faces[i] for i in numbered.in_frame(frame)]
        faces = [{**describe_face(i, item), "selected": id(item) in chosen_ids} for i, item in enumerate(ordered)]
        height, width = numbered.image_sizes[frame]
        descriptions.append({"size": [width, height], "picture": picture, "faces": faces})
    return descriptions


def _label(number: int, item: face.Face) -> str:
    return str(number) if item.track is None else f"{number} (track {item.track})"
