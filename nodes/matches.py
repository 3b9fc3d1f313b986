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
    shown: Sequence[int],
    faces: Sequence[Face],
    recognized: Sequence[str | None],
    people: Mapping[str, ReferenceSet],
    similarities: NDArray[np.float64],
    cls: type[io.ComfyNode],
) -> dict[str, Any]:
    """Return the node's `ui`, as described in `display`.

    Args:
        crops: The crops (3, size, size) in [-1, 1] of the faces that are shown, at most `MOST_SHOWN`.
        shown: The indices of these faces.
        faces: All faces with their people.
        recognized: The person of each face before assignments by hand.
        people: Name -> references.
        similarities: (faces, people) cosine similarities.
        cls: The class of the node.
    """
    names = list(people)
    similarity_to_person = {
        i: float(similarities[i][names.index(person)] if (person := faces[i].person) else similarities[i].max())
        for i in shown
    }
    portraits = {
        name: u8_to_tensor(person.thumbnails[0]) for name, person in people.items() if person.thumbnails is not None
    }
    rows = [
        [
            PlotCell(crop, f"{i}: {faces[i].person or NOBODY}"),
            PlotCell(portraits.get(faces[i].person or "", torch.zeros_like(crop)), f"{value:.2f}", value),
        ]
        for crop, (i, value) in zip(crops, similarity_to_person.items(), strict=True)
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
                **describe_face(i, faces[i]),
                "picture": faces[i].frame,
                "person": faces[i].person,
                "recognized": recognized[i],
                "similarity": round(similarity_to_person[i], 4),
                "thumbnail": thumbnail,
            }
            for i, thumbnail in zip(shown, thumbnails, strict=True)
        ],
        "similarities": np.round(similarities[list(shown)], 4).tolist(),
    }
    return {"images": save_pictures(plots, cls), "refldm_matches": [matches]}
