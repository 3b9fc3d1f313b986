"""The data that nodes show on the page besides their results: pictures, and the faces and people in them.

A node's `ui` holds lists, since the host joins the lists of several runs of one node. All pictures are temporary files
that the page fetches. They are shrunk so that the page stays fast. Results never depend on them.

`refldm_faces` of Detect Faces has one entry for each picture on the page:

    size: [width, height] of the original picture in pixels.
    picture: {"filename", "subfolder", "type"} of a file without boxes, which may be smaller than `size`.
    faces: One entry for each face that is at least `min_size` large, in the order in which `select` counts.
        index: Number of the face in `select`.
        box: [left, top, right, bottom] in pixels of the original picture, whose upper left corner is 0, 0.
        landmarks: [x, y] of the left eye, right eye, nose, left and right corner of the mouth, in the same pixels.
        confidence: 0..1.
        selected: Whether the face was chosen.

`refldm_matches` of Match People has one entry:

    people: For each person the name and, if there is one, a `thumbnail` (a file as above).
    faces: One entry for each face; in a video one for each track, the largest face of it.
        index: Number of the face in `assignments`, which counts the faces of all frames.
        picture: Number of the picture in the batch.
        box, landmarks, confidence: As above.
        person: Name of the person, or null for nobody.
        recognized: Name of the person before `assignments`, or null.
        similarity: Similarity to the person; for nobody, to the most similar person.
        thumbnail: A file as above.
    similarities: One row for each of these faces, with the similarity to each person.

`refldm_before` and `refldm_after` of Paste Faces list the files of the pictures before and after, in the same order.
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
"""A batch of more pictures than this is shown small."""
LONGEST, LONGEST_OF_MANY = 1536, 512
"""Longer side of a picture on the page in pixels: usually, and in a batch of many."""
THUMBNAIL = 128
"""Side of a face on the page in pixels."""
MOST_SHOWN = 64
"""Largest number of pictures that one node shows. A long video has more."""


def save_pictures(
    pictures: Sequence[Tensor] | Tensor, cls: type[io.ComfyNode], longest: int | None = None
) -> list[Any]:
    """Save pictures as temporary files for the page.

    Args:
        pictures: (3, height, width) each, in [-1, 1]. Only the first `MOST_SHOWN` are saved.
        cls: The class of the node.
        longest: Largest longer side in pixels; None for `longest_shown`.

    Returns:
        One {"filename", "subfolder", "type"} for each saved picture.
    """
    if not len(pictures):
        return []
    longest = longest or longest_shown(len(pictures))
    images = [model_to_bhwc(shrink(picture, longest).unsqueeze(0))[0] for picture in pictures[:MOST_SHOWN]]
    return list(ui.PreviewImage(images, cls=cls).as_dict()["images"])


def longest_shown(count: int) -> int:
    """Return the longer side in pixels with which the page shows the pictures of a batch."""
    return LONGEST if count <= MANY else LONGEST_OF_MANY


def shrink(picture: Tensor, longest: int) -> Tensor:
    """Shrink a picture (3, height, width) so that its longer side has at most `longest` pixels."""
    scale = longest / max(picture.shape[1:])
    if scale >= 1.0:
        return picture
    size = [max(1, round(side * scale)) for side in picture.shape[1:]]
    return F.interpolate(picture.unsqueeze(0).float(), size, mode="area")[0]


def describe_face(index: int, item: Face) -> dict[str, Any]:
    """Return index, box, landmarks and confidence of a face, as the module's description says."""
    # On the page, pixel i covers [i, i + 1]. In the core's convention it covers [i - 0.5, i + 0.5].
    return {
        "index": index,
        "box": [round(value + 0.5, 2) for value in item.box],
        "landmarks": [[round(value + 0.5, 2) for value in point] for point in item.landmarks.points.tolist()],
        "confidence": round(item.score, 4),
    }
