"""Draw photos with toy faces, and write weight files of networks that find and recognize them."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from refldm_core.face.weights import BISENET, RETINAFACE_MOBILE
from tests.face.toys import LOOKS, draw_face, save_arcface, save_scrfd

from .comfy import python_of
from .graphs import Graph, Link, Node

FACE_SIZE, FACE_SPACING = 96, 256
"""Side of a toy face, and distance between the centers of neighbors, in pixels."""

SAME_TOY = 0.985
"""Similarity above which two toy faces show one person. The toy recognizer finds all toy faces very similar."""

TOY_DETECTION = {"threshold": 0.5, "smallest": 40, "rotated": False}
"""Settings of Detect Faces that place toy faces to the pixel."""

PEOPLE = {"anna": -2, "ben": 0, "cem": 2}
"""Name -> the number of the person in `photo`."""

_PACKAGES = ("insightface.model_zoo.scrfd", "facexlib.detection.retinaface", "onnxruntime", "scipy.optimize")


def require_packages(host: Path) -> None:
    """Skip the test if the host's environment lacks the packages for faces."""
    code = "".join(f"import {name}\n" for name in _PACKAGES)
    process = subprocess.run([python_of(host), "-c", code], capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(
            f"{host.name} cannot work with faces ({process.stderr.strip().splitlines()[-1]}): install requirements.txt "
            "into its environment"
        )


def save_networks(models: Path) -> None:
    """Write toy networks in the folder layout of an insightface pack."""
    folder = models / "buffalo_l"
    folder.mkdir(parents=True, exist_ok=True)
    save_scrfd(folder / "det_10g.onnx")
    save_arcface(folder / "w600k_r50.onnx")


def photo(people: Sequence[int | None], background: int = 127, shift: int = 0) -> NDArray[np.uint8]:
    """Draw toy faces in a row.

    People differ in the brightness beside their faces, which the detector ignores.

    Args:
        people: Number of the person at each place from the left, in -2..2. None leaves the place empty.
        background: Brightness of the background, in 0..255.
        shift: Pixels by which the picture is rotated to the right.

    Returns:
        A (192, 256 * places, 3) picture. Without places it is one place wide.
    """
    picture = np.full((192, FACE_SPACING * max(1, len(people)), 3), background, np.uint8)
    # The grain makes every resampling visible.
    grain = np.random.default_rng(0).integers(-6, 7, picture.shape)
    picture = (picture + grain).astype(np.uint8)
    for i, person in enumerate(people):
        if person is None:
            continue
        x = 96 + FACE_SPACING * i
        draw_face(picture, (x, 96), FACE_SIZE)
        for side in (-70, 52):
            picture[48:144, x + side : x + side + 18] = 127 + 60 * person
    return np.roll(picture, shift, axis=1)


def save_picture(picture: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(picture).save(path)


def face_center(picture: NDArray[np.uint8], place: int) -> NDArray[np.int64]:
    """Return the middle half of the face at a place of `photo`."""
    x = 96 + FACE_SPACING * place
    return picture[72:120, x - 24 : x + 24].astype(np.int64)


def face_change(before: NDArray[np.uint8], after: NDArray[np.uint8], place: int) -> float:
    """Return the mean change of the face at a place, in gray levels."""
    return float(np.abs(face_center(after, place) - face_center(before, place)).mean())


class FaceGraph(Graph):
    """A graph with the face nodes, at settings for toy faces."""

    def detector(self, backend: str = "insightface") -> Link:
        return self.add("ReFLDM_LoadFaceDetector", backend=backend)[0]

    def recognizer(self) -> Link:
        return self.add("ReFLDM_LoadFaceRecognizer", model="buffalo_l")[0]

    def detect(self, image: Link, detector: Link | None = None, **settings: object) -> Node:
        defaults = {
            "select": "all",
            "order": "left to right",
            "count": 0,
            "min_size": 0,
            "when_empty": "error",
            "video": False,
            "smoothing": 0.0,
            "crop_size": 128,
            **TOY_DETECTION,
        }
        detector = detector or self.detector()
        return self.add("ReFLDM_DetectFaces", face_detector=detector, image=image, **{**defaults, **settings})

    def paste(self, image: Link, faces: Link, restored: Link, **settings: object) -> Node:
        defaults = {"feather": 0.1, "color_match": "none", "blend": 1.0, "detail": "unchanged", "upscale": 1.0}
        return self.add("ReFLDM_PasteFaces", image=image, faces=faces, restored=restored, **{**defaults, **settings})

    def select(self, *photos: Link, detector: Link, recognizer: Link, **settings: object) -> Node:
        defaults = {
            "count": 5,
            "same_person": SAME_TOY,
            "min_size": 80,
            "max_blur": 0.6,
            "threshold": 0.5,
            "crop_size": 128,
        }
        sockets = {"photos" if i == 1 else f"photos_{i}": link for i, link in enumerate(photos, start=1)}
        return self.add(
            "ReFLDM_SelectReferences",
            face_detector=detector,
            face_recognizer=recognizer,
            **{**defaults, **sockets, **settings},
        )


def encode_person(graph: FaceGraph, name: str, model: Node, detector: Link, recognizer: Link) -> Link:
    """Add the references of a person of `PEOPLE`, from their two photos."""
    photos = [graph.image(f"{name}_{i}.png") for i in (1, 2)]
    selected = graph.select(*photos, detector=detector, recognizer=recognizer)
    return graph.add("ReFLDM_EncodeReferences", model=model[0], vae=model[1], images=selected[0], encoding="joint")[0]


def save_retinaface(models: Path) -> None:
    """Write a file of RetinaFace's smaller network that finds a large face with a toy's landmarks everywhere."""
    from facexlib.detection.retinaface import RetinaFace

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # facexlib passes torchvision a deprecated argument
        tensors = RetinaFace(network_name="mobile0.25", device=torch.device("cpu")).state_dict()
    for name, value in tensors.items():
        if name.startswith(("ClassHead", "BboxHead", "LandmarkHead")):
            value.zero_()
    for level in range(3):  # each cell has two anchors, each anchor two classes; only the largest anchor is a face
        tensors[f"ClassHead.{level}.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 20.0, 0.0]))
    tensors["ClassHead.2.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 0.0, 5.0]))
    tensors["LandmarkHead.2.conv1x1.bias"].copy_(3.0 * torch.tensor(LOOKS * 2).flatten())
    torch.save({f"module.{name}": value for name, value in tensors.items()}, models / RETINAFACE_MOBILE.name)


def save_parser(models: Path, label: int) -> None:
    """Write a file of BiSeNet that gives every pixel the same label."""
    from facexlib.parsing.bisenet import BiSeNet

    tensors = BiSeNet(num_class=19).state_dict()
    # The last convolution has no bias, and its features are positive: this class gets a positive logit, others get 0.
    tensors["conv_out.conv_out.weight"].zero_()
    tensors["conv_out.conv_out.weight"][label] = 1
    tensors["conv_out.conv.bn.bias"].fill_(1)
    torch.save(tensors, models / BISENET.name)
