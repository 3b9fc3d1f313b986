"""Write a weight file for ComfyUI's MediaPipe nodes that finds one face at a fixed place in every picture."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

NAME = "mediapipe_face_fp32.safetensors"
"""The file name in ComfyUI's blueprints and in workflow 08."""

LANDMARKS = np.array([[72, 77], [120, 77], [96, 101], [79, 125], [115, 123]], dtype=np.float64)
"""Landmarks of the toy face at place 0 of `photo`: left eye, right eye, nose, left and right corner of the mouth."""

TEXT = " ".join(f"{value:g}" for value in LANDMARKS.flatten())
"""The same landmarks as text for Faces from Landmarks."""

MESH = (48, 48, 144, 144)
"""Extent of the face mesh around that face: (left, top, right, bottom)."""

_FIVE = [468, 473, 1, 61, 291]  # irises, tip of the nose, corners of the mouth
_PARTS = ("face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "lips", "irises", "nose")
_INPUT = 192  # side of the face mesh's input, in pixels
_REGION = 12.0  # side of that input over the picture's longer side: the detector's box, 8, times the margin, 1.5


def save_mediapipe(host: Path, detection: Path, size: tuple[int, int]) -> None:
    """Write the file into the folder models/detection.

    Args:
        host: A ComfyUI with MediaPipe nodes. Its classes name the tensors.
        detection: The folder models/detection.
        size: (height, width) of the pictures in which the face is found.
    """
    path = host / "comfy_extras" / "mediapipe" / "face_landmarker.py"
    spec = spec_from_file_location("face_landmarker_of_the_host", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    tensors: dict[str, Tensor] = {}
    for variant in ("short", "full"):
        network = module.FaceLandmarker(detector_variant=variant)
        for name, value in network.state_dict().items():
            prefix = f"detector_{variant}." if name.startswith("detector.") else ""
            tensors[prefix + name.removeprefix("detector." if prefix else "")] = torch.zeros_like(value)
    # One anchor in each of the 8x8 cells of the short-range detector sees a face far larger than the picture. These
    # faces overlap so much that they become one face in the middle of the picture. All other anchors see nothing.
    for name in ("detector_short.cls_16.bias", "detector_short.cls_8.bias", "detector_full.cls_dw.bias"):
        tensors[name].fill_(-50.0)
    tensors["detector_short.cls_8.bias"][0] = 3.0
    tensors["detector_short.reg_8.bias"][2:4] = 128.0 * _REGION / 1.5
    mesh = _mesh()
    side = _REGION * max(size)
    middle = np.array([size[1] / 2.0, size[0] / 2.0])
    points = np.zeros((len(mesh), 3))
    points[:, :2] = _INPUT / 2.0 + (mesh - middle) * (_INPUT / side)
    points[:, 2] = np.random.default_rng(1).uniform(-1.0, 1.0, len(mesh))
    tensors["mesh.head_landmarks.bias"].copy_(torch.as_tensor(points).flatten())
    tensors["canonical_vertices"] = torch.as_tensor(points[:468], dtype=torch.float32)
    tensors["procrustes_indices"] = torch.arange(0, 468, 14, dtype=torch.int32)
    tensors["procrustes_weights"] = torch.ones(len(tensors["procrustes_indices"]))
    for part in (*_PARTS, "tesselation"):
        tensors[f"topology.{part}"] = torch.tensor([[0, 1], [1, 2]], dtype=torch.int32)
    detection.mkdir(parents=True, exist_ok=True)
    save_file(tensors, detection / NAME)


def _mesh() -> NDArray[np.float64]:
    """Return (478, 2) points: the five landmarks, two corners of the extent, and random points between them."""
    low, high = np.array(MESH[:2]), np.array(MESH[2:])
    mesh = np.random.default_rng(0).uniform(low, high, (478, 2))
    mesh[[0, 2]] = low, high
    mesh[_FIVE] = LANDMARKS
    return mesh
