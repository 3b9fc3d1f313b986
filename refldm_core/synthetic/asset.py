"""The head that every person is a shape of: its mesh, shape targets and masks.

Lengths are in decimeters; y points up and z forward.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReFLDMError
from .arrays import Floats, unit
from .scipy_functions import reshaped, sparse
from .subdivision import Quads, refined

HEAD = Path(__file__).with_name("head.npz")
"""Built by `build_asset`."""

LEVELS = {"skin": 2, "eyes": 2, "teeth": 2, "tongue": 1}
"""Subdivision steps. Two of them make the skin's quads about 2 mm wide."""

Weights = Iterable[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class Part:
    """A refined mesh: `matrix` (fine, coarse) times the coarse vertices gives its vertices; `quads` is (n, 4)."""

    matrix: Any
    quads: Quads


@dataclass(frozen=True, eq=False)
class Head:
    """The asset, loaded.

    Attributes:
        base: (n, 3) vertices of the average head.
        parts: skin, eyes, teeth and tongue.
        lashes: (n, 4) quads of coarse vertices; each lash lies in one of them.
        joints: name -> vertices whose mean is the joint.
        coarse_masks: name -> value in [0, 1] at each coarse vertex.
        masks: name -> value in [0, 1] at each fine vertex of the skin.
        occlusion: openness in [0, 1] at each fine vertex of the skin: 0 deep in a fold, 1 in the open.
        targets: (targets, 3 n) displacements.
        target_index: name -> row of `targets`.
    """

    base: NDArray[np.float64]
    parts: dict[str, Part]
    lashes: Quads
    joints: dict[str, NDArray[np.int64]]
    coarse_masks: dict[str, Floats]
    masks: dict[str, Floats]
    occlusion: Floats
    targets: Any
    target_index: dict[str, int]

    @cached_property
    def skin(self) -> NDArray[np.float64]:
        """(n, 3) fine vertices of the average skin. Marks of the skin are placed in these coordinates."""
        return np.asarray(self.parts["skin"].matrix @ self.base)

    def displacement(self, weights: Weights) -> NDArray[np.float64]:
        """Return the (n, 3) weighted sum of shape targets.

        Raises:
            KeyError: the asset has no target of that name.
        """
        vector = np.zeros(len(self.target_index), dtype=np.float32)
        for name, weight in weights:
            vector[self.target_index[name]] += weight
        return reshaped(np.asarray(self.targets.T @ vector, dtype=np.float64), -1, 3)

    def joint(self, name: str, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (3,) position of a joint of a shape with (n, 3) coarse vertices."""
        return vertices[self.joints[name]].mean(0)


@lru_cache(maxsize=1)
def head() -> Head:
    """Load the asset. The first call in a process takes about half a second.

    Raises:
        ReFLDMError: the package lacks the file.
    """
    if not HEAD.is_file():
        raise ReFLDMError(
            f"{HEAD} is missing.", expected="the mesh that comes with the package", remedy="install the package again"
        )
    with np.load(HEAD) as file:
        arrays = {name: file[name] for name in file.files}
    base = arrays["base"].astype(np.float64)
    parts = {
        name: Part(*refined(arrays[f"quads_{name}"].astype(np.int64), len(base), levels))
        for name, levels in LEVELS.items()
    }
    names = [str(name) for name in arrays["target_names"]]
    target_data = (arrays["target_values"].astype(np.float32), arrays["target_columns"], arrays["target_rows"])
    skin = parts["skin"].matrix
    masks = {name.removeprefix("mask_"): mask / 255.0 for name, mask in arrays.items() if name.startswith("mask_")}
    return Head(
        base=base,
        parts=parts,
        lashes=arrays["quads_lashes"].astype(np.int64),
        joints={
            name.removeprefix("joint_"): members.astype(np.int64)
            for name, members in arrays.items()
            if name.startswith("joint_")
        },
        coarse_masks=masks,
        masks={name: skin @ mask for name, mask in masks.items()},
        occlusion=arrays["occlusion"] / 255.0,
        targets=sparse.csr_matrix(target_data, (len(names), base.size)),
        target_index={name: i for i, name in enumerate(names)},
    )


def normals(vertices: Floats, quads: Quads) -> NDArray[np.float32]:
    """Return (n, 3) unit normals at the vertices of a mesh: means of the adjacent quads, weighted by their areas."""
    points = vertices.astype(np.float32)
    a, b = points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]]
    quad_normals = np.cross(a, b)
    sums = np.zeros_like(points)
    corners = quads.ravel()
    for axis in range(3):
        sums[:, axis] = np.bincount(corners, np.repeat(quad_normals[:, axis], 4), len(points))
    return unit(sums).astype(np.float32)
