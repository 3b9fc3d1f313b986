"""What Match People shows: each face beside its person."""
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
from .drawing import PlotCell, draw_rows
from .shown import THUMBNAIL, described_face, saved_pictures
from .types import ReferenceSet

_ROWS = 4  # faces in one shown picture


def shown_matches(  # noqa: PLR0917
    crops: Tensor,
    faces: Sequence[Face],
    recognized: Sequence[str | None],
    people: Mapping[str, ReferenceSet],
    similarities: NDArray[np.float64],
    cls: type[io.ComfyNode],
) -> dict[str, Any]:
    """The node's `ui`; see `shown`.

    Args:
        crops: (n, 3, size, size) in [-1, 1], of the first n faces: those that are shown.
        faces: with their people.
        recognized: the person of each face without assignments.
        people: by name.
        similarities: (faces, people) cosine similarities.
        cls: the node.
    """
    names = list(people)
    to_person = [
        float(row[names.index(item.person)] if item.person else row.max())
        for item, row in zip(faces, similarities, strict=True)
    ]
    pictures = {n: u8_to_tensor(person.thumbnails[0]) for n, person in people.items() if person.thumbnails is not None}
    rows = [
        [
            PlotCell(crop, f"{i}: {item.person or NOBODY}"),
            PlotCell(pictures.get(item.person or "", torch.zeros_like(crop)), f"{value:.2f}", value),
        ]
        for i, (crop, item, value) in enumerate(zip(crops, faces, to_person, strict=False))  # fewer crops than faces
    ]
    plots = [draw_rows(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
    faces_of_crops = saved_pictures(crops, cls, THUMBNAIL)
    saved_people = {
        name: {"thumbnail": saved}
        for name, saved in zip(pictures, saved_pictures(list(pictures.values()), cls, THUMBNAIL), strict=False)
    }
    matches = {
        "people": [{"name": name, **saved_people.get(name, {})} for name in names],
        "faces": [
            {
                **described_face(i, faces[i]),
                "picture": faces[i].frame,
                "person": faces[i].person,
                "recognized": recognized[i],
                "similarity": round(to_person[i], 4),
                "thumbnail": thumbnail,
            }
            for i, thumbnail in enumerate(faces_of_crops)
        ],
        "similarities": np.round(similarities[: len(faces_of_crops)], 4).tolist(),
    }
    return {"images": saved_pictures(plots, cls), "refldm_matches": [matches]}
