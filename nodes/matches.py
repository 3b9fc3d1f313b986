"""The data that Match People shows on the page: each face beside its person."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io
from numpy.typing import NDArray
from torch import Tensor

from ..refldm_core.face.matching import NOBODY
from ..refldm_core.face.types import Face
from ..refldm_core.images import u8_to_tensor
from .display import MOST_SHOWN, THUMBNAIL, describe_face, save_pictures
from .drawing import PlotCell, draw_rows
from .types import ReferenceSet

_ROWS = 4  # faces in one picture on the node


def describe_matches(  # noqa: PLR0917
    crops: Sequence[Tensor],
    faces: Sequence[Face],
    recognized: Sequence[str | None],
    people: Mapping[str, ReferenceSet],
    similarities: NDArray[np.float64],
    cls: type[io.ComfyNode],
) -> dict[str, Any]:
    """Return the node's `ui`, as described in `display`.

    Args:
        crops: The crops (3, size, size) in [-1, 1] of the first faces. Only these faces are shown, at most
            `MOST_SHOWN`.
        faces: All faces with their people.
        recognized: The person of each face before assignments by hand.
        people: Name -> references.
        similarities: (faces, people) cosine similarities.
        cls: The class of the node.
    """
    names = list(people)
    faces, similarities = faces[: len(crops)], similarities[: len(crops)]
    similarity_to_person = [
        float(row[names.index(item.person)] if item.person else row.max())
        for item, row in zip(faces, similarities, strict=True)
    ]
    portraits = {
        name: u8_to_tensor(person.thumbnails[0]) for name, person in people.items() if person.thumbnails is not None
    }
    rows = [
        [
            PlotCell(crop, f"{i}: {item.person or NOBODY}"),
            PlotCell(portraits.get(item.person or "", torch.zeros_like(crop)), f"{value:.2f}", value),
        ]
        for i, (crop, item, value) in enumerate(zip(crops, faces, similarity_to_person, strict=True))
    ]
    plots = [draw_rows(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
    thumbnails = save_pictures(crops, cls, THUMBNAIL)
    with_portrait = list(portraits)[:MOST_SHOWN]
    files = save_pictures([portraits[name] for name in with_portrait], cls, THUMBNAIL)
    thumbnail_of = dict(zip(with_portrait, files, strict=True))
    matches = {
        "people": [
            {"name": name, **({"thumbnail": thumbnail_of[name]} if name in thumbnail_of else {})} for name in names
        ],
        "faces": [
            {
                **describe_face(i, item),
                "picture": item.frame,
                "person": item.person,
                "recognized": recognized[i],
                "similarity": round(similarity_to_person[i], 4),
                "thumbnail": thumbnails[i],
            }
            for i, item in enumerate(faces)
        ],
        "similarities": np.round(similarities, 4).tolist(),
    }
    return {"images": save_pictures(plots, cls), "refldm_matches": [matches]}
