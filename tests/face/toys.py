"""Pictures for tests, and weight files of the published layouts with known results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skimage import data
from torch import Tensor

from refldm_core.face.types import CropTransform

LOOKS = [[-0.25, -0.2], [0.25, -0.2], [0.0, 0.05], [-0.18, 0.3], [0.2, 0.28]]
"""Landmarks of the toy face, relative to its middle, as fractions of its size."""


def collage(height: int, width: int) -> Tensor:
    """Tile photos at their own resolution into a picture (3, height, width) in [-1, 1]."""
    photos = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rows = [np.concatenate([np.roll(p, i, axis=1)[:300, :400] for i, p in enumerate(photos)], axis=1)]
    row = np.tile(rows[0], (1, -(-width // 1600), 1))[:, :width]
    picture = np.concatenate([np.roll(row, 173 * i, axis=1) for i in range(-(-height // 300))])[:height]
    return torch.as_tensor(picture.copy()).movedim(-1, 0).float() / 127.5 - 1.0


def transform_of(side: float, degrees: float, image_size: tuple[int, int], shift=(0.0, 0.0), crop=512) -> CropTransform:
    """Return the transform of a crop that covers a square of `side` pixels around the middle of the picture."""
    scale, angle = crop / side, np.radians(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([(image_size[1] - 1) / 2 + shift[0], (image_size[0] - 1) / 2 + shift[1]])
    return CropTransform(np.column_stack([linear, (crop - 1) / 2 - linear @ middle]), crop, image_size)


def draw_face(picture: NDArray[np.uint8], center: tuple[float, float], size: int, turn: int = 0) -> None:
    """Draw a toy face with a green upper half, a red left half and a blue right half.

    Args:
        picture: (height, width, 3), changed in place.
        center: (x, y) in pixels.
        size: Pixels along each side.
        turn: Number of counter-clockwise quarter turns.
    """
    half = size // 2
    face = np.zeros((2 * half, 2 * half, 3), dtype=np.uint8)
    face[:, :half, 0] = face[:, half:, 2] = face[:half, :, 1] = 255
    face = np.rot90(face, turn)
    left, top = round(center[0]) - half, round(center[1]) - half
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * half, picture.shape[1]), min(top + 2 * half, picture.shape[0])
    picture[y0:y1, x0:x1] = face[y0 - top : y1 - top, x0 - left : x1 - left]


def save_scrfd(path: Path, size: int | None = None) -> None:
    """Save an ONNX file that finds toy faces, with the inputs and outputs of SCRFD with landmarks.

    At each of the strides 8, 16 and 32, it finds upright toy faces of about 6 strides. The box is always exactly 6
    strides large. The score is the amount of the right colors in the left, right and upper half, minus the amount of
    color around the face.

    Args:
        path: Path of the file.
        size: Fixed pixels along each side of the input. None allows any size.
    """
    nodes, constants = [], []

    def constant(name: str, value) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    colors = np.array([[1, 0, -1], [0, 1, 0]], dtype=np.float32).reshape(2, 3, 1, 1)
    halves = np.zeros((2, 2, 6, 6), dtype=np.float32)
    halves[0, 0, :, :3], halves[0, 0, :, 3:] = 1 / 72, -1 / 72
    halves[1, 1, :3], halves[1, 1, 3:] = 1 / 36, -1 / 36
    ring = np.full((1, 1, 10, 10), 1 / 128, dtype=np.float32)
    ring[..., 2:8, 2:8] = 0
    node("Conv", ["input.1", constant("colors", colors)], "opponent")
    for name, value in {"w_halves": halves, "w_ring": ring}.items():
        constant(name, value)
    for name, value in {"zero": 0.0, "one": 1.0, "three": 3.0}.items():
        constant(name, np.float32(value))
    constant("one_column", np.array([-1, 1], dtype=np.int64))
    constant("first", np.array([0], dtype=np.int64))
    constant("second", np.array([1], dtype=np.int64))
    constant("third", np.array([2], dtype=np.int64))
    constant("channels", np.array([1], dtype=np.int64))
    constant("box", np.full((1, 4), 3.0, dtype=np.float32))
    constant("looks", 6 * np.array(LOOKS, dtype=np.float32).reshape(1, 10))
    outputs = {"score": [], "bbox": [], "kps": []}
    for s in (8, 16, 32):
        node("AveragePool", ["opponent"], f"cells{s}", kernel_shape=[s, s], strides=[s, s])
        node("Conv", [f"cells{s}", "w_halves"], f"halves{s}", pads=[3, 3, 2, 2])
        node("ReduceMin", [f"halves{s}", "channels"], f"inner{s}", keepdims=1)
        node("Slice", [f"cells{s}", "first", "second", "channels"], f"red_blue{s}")
        node("Abs", [f"red_blue{s}"], f"colored{s}")
        node("Conv", [f"colored{s}", "w_ring"], f"outer{s}", pads=[5, 5, 4, 4])
        node("Sub", [f"inner{s}", f"outer{s}"], f"raw{s}")
        node("Clip", [f"raw{s}", "zero", "one"], f"clipped{s}")
        node("Reshape", [f"clipped{s}", "one_column"], f"column{s}")
        node("Mul", [f"column{s}", "zero"], f"none{s}")  # the second anchor of each cell has score 0
        node("Concat", [f"column{s}", f"none{s}"], f"both{s}", axis=1)
        outputs["score"].append(node("Reshape", [f"both{s}", "one_column"], f"score{s}"))
        node("Mul", [f"score{s}", "zero"], f"null{s}")
        node("Add", [f"null{s}", "one"], f"ones{s}")
        outputs["bbox"].append(node("MatMul", [f"ones{s}", "box"], f"bbox{s}"))
        outputs["kps"].append(node("MatMul", [f"ones{s}", "looks"], f"kps{s}"))
    sides = [size, size] if size else ["height", "width"]
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, *sides])
    columns = {"score": 1, "bbox": 4, "kps": 10}
    named = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"n_{name}", columns[kind]])
        for kind, names in outputs.items()
        for name in names
    ]
    _save(helper.make_graph(nodes, "scrfd", [image], named, constants), path)


def save_arcface(path: Path, seed: int = 0) -> None:
    """Save an ONNX file with the inputs and outputs of w600k_r50.onnx: a random linear map of a 7x7 thumbnail."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(3 * 49, 512)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["thumbnail"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["thumbnail"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["683"]),
    ]
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["None", 3, 112, 112])
    output = helper.make_tensor_value_info("683", TensorProto.FLOAT, ["None", 512])
    _save(helper.make_graph(nodes, "arcface", [image], [output], [numpy_helper.from_array(weights, "weights")]), path)


def people(count: int, photos: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Return random embeddings of unit length: (count, photos, 512) for `count` people with `photos` photos each.

    `spread` is the deviation of the photos of one person from their mean. Different people are nearly orthogonal.
    """
    generator = np.random.default_rng(seed)
    means = generator.normal(size=(count, 1, 512))
    values = means / np.linalg.norm(means, axis=-1, keepdims=True) + spread * generator.normal(
        size=(count, photos, 512)
    ) / np.sqrt(512)
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def _save(graph, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
