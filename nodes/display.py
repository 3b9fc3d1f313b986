"""What nodes show on the page besides their results: pictures, and the faces and people in them.

A node's `ui` holds lists, since the host joins those of several runs of one node. All pictures are temporary files that
the page fetches, shrink such that showing them costs little; results never depend on them.

`refldm_faces` of Detect Faces has one entry for each shown picture:

    size: [width, height] of the whole picture in pixels.
    picture: {"filename", "subfolder", "type"} of a file without boxes, which may be smaller than `size`.
    faces: for each face that fits `min_size`, in the order that `select` counts in,
        index: its number in `select`.
        box: [left, top, right, bottom] in pixels of the whole picture, whose left upper corner is 0, 0.
        landmarks: [x, y] of the left eye, right eye, nose, left and right corner of the mouth, in the same pixels.
        confidence: 0..1.
        selected: whether it was chosen.

`refldm_matches` of Match People has one entry:

    people: for each person the name and, where there is one, a `thumbnail` (a file as above).
    faces: index (its number in `assignments`), picture (number in the batch), box, landmarks and confidence as above,
        person (null for nobody), recognized (the person without `assignments`), similarity (to the person, or to the
        most similar one for nobody), thumbnail.
    similarities: a row for each face, with the similarity to each person.

`refldm_before` and `refldm_after` of Paste Faces are files of the pictures before and after, in pairs.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from comfy_api.latest import io, ui
from torch import Tensor

from ..refldm_core.face.types import Face
from ..refldm_core.images import model_to_bhwc

MANY = 8
"""Pictures of a batch above which they are shown small."""
LONGEST, LONGEST_OF_MANY = 1536, 512
"""Pixels along the longer side of a shown picture."""
THUMBNAIL = 128
"""Pixels of a shown face."""
MOST_SHOWN = 64
"""Pictures that one node shows; a long video has more."""


def longest_side(pictures: int) -> int:
    """Pixels along the longer side of each of so many shown pictures."""
    return LONGEST if pictures <= MANY else LONGEST_OF_MANY


def save_pictures(
    pictures: Sequence[Tensor] | Tensor, cls: type[io.ComfyNode], longest: int | None = None
) -> list[Any]:
    """Temporary files for the page.

    Args:
        pictures: (3, height, width) each, in [-1, 1]; the first `MOST_SHOWN` are saved.
        cls: the node.
        longest: pixels along the longer side; None for `longest_side` the pictures.

    Returns:
        One {"filename", "subfolder", "type"} for each saved picture.
    """
    if not len(pictures):
        return []
    small = [shrink(picture, longest or longest_side(len(pictures))) for picture in pictures[:MOST_SHOWN]]
    images = [model_to_bhwc(picture.unsqueeze(0))[0] for picture in small]
    return list(ui.PreviewImage(images, cls=cls).as_dict()["images"])


def shrink(picture: Tensor, longest: int) -> Tensor:
    """(3, height, width) -> the same with a longer side of at most so many pixels."""
    scale = longest / max(picture.shape[1:])
    if scale >= 1.0:
        return picture
    size = [max(1, round(side * scale)) for side in picture.shape[1:]]
    return F.interpolate(picture.unsqueeze(0).float(), size, mode="area")[0]


def describe_face(index: int, item: Face) -> dict[str, Any]:
    """Index, box, landmarks and confidence of a face; see the module's description."""
    # There pixel i covers [i, i + 1]; in the core's convention it covers [i - 0.5, i + 0.5].
    return {
        "index": index,
        "box": [round(value + 0.5, 2) for value in item.box],
        "landmarks": [[round(value + 0.5, 2) for value in point] for point in item.landmarks.points.tolist()],
        "confidence": round(item.score, 4),
    }
