"""Photos with toy faces, and weight files that find and know them, in a ComfyUI's folders."""

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

SIZE, STEP = 96, 256
"""Pixels of a toy face, and from one to the next."""

SAME_TOY = 0.985
"""The toy recognizer sees little difference between toy people."""

SEARCH = {"threshold": 0.5, "smallest": 40, "rotated": False}
"""Finds toy faces where they are, to the pixel."""

PEOPLE = {"anna": -2, "ben": 0, "cem": 2}
"""Name -> the person of `photo`."""

_PACKAGES = ("insightface.model_zoo.scrfd", "facexlib.detection.retinaface", "onnxruntime", "scipy.optimize")


def require_packages(host: Path) -> None:
    """Skip where the host's environment lacks what faces need."""
    code = "".join(f"import {name}\n" for name in _PACKAGES)
    done = subprocess.run([python_of(host), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(
            f"{host.name} cannot work with faces ({done.stderr.strip().splitlines()[-1]}): install requirements.txt "
            "into its environment"
        )


def save_networks(models: Path) -> None:
    """A pack of insightface's layout."""
    pack = models / "buffalo_l"
    pack.mkdir(parents=True, exist_ok=True)
    save_scrfd(pack / "det_10g.onnx")
    save_arcface(pack / "w600k_r50.onnx")


def photo(people: Sequence[int | None], background: int = 127, shift: int = 0) -> NDArray[np.uint8]:
    """Toy faces in a row; people, -2..2, differ in the brightness beside their faces, which the detector ignores.

    Args:
        people: of each place, from the left; None where nobody is.
        background: brightness.
        shift: pixels by which all is moved to the right.
    """
    picture = np.full((192, STEP * max(1, len(people)), 3), background, np.uint8)
    # Grain: a picture that was resampled anywhere is not the same any more.
    grain = np.random.default_rng(0).integers(-6, 7, picture.shape)
    picture = (picture + grain).astype(np.uint8)
    for i, person in enumerate(people):
        if person is None:
            continue
        x = 96 + STEP * i
        draw_face(picture, (x, 96), SIZE)
        for side in (-70, 52):
            picture[48:144, x + side : x + side + 18] = 127 + 60 * person
    return np.roll(picture, shift, axis=1)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(picture).save(path)


def at(picture: NDArray[np.uint8], place: int) -> NDArray[np.int64]:
    """The middle half of the face at a place of `photo`."""
    x = 96 + STEP * place
    return picture[72:120, x - 24 : x + 24].astype(np.int64)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8], place: int) -> float:
    """Mean change of the face at a place, in gray levels."""
    return float(np.abs(at(after, place) - at(before, place)).mean())


class FaceGraph(Graph):
    """A graph under construction with the face nodes' defaults."""

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
            **SEARCH,
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


def person(graph: FaceGraph, name: str, model: Node, detector: Link, recognizer: Link) -> Link:
    photos = [graph.image(f"{name}_{i}.png") for i in (1, 2)]
    chosen = graph.select(*photos, detector=detector, recognizer=recognizer)
    return graph.add("ReFLDM_EncodeReferences", model=model[0], vae=model[1], images=chosen[0], encoding="joint")[0]


def save_retinaface(models: Path) -> None:
    """A file of RetinaFace's smaller network that sees a large face everywhere, with the landmarks of toys."""
    from facexlib.detection.retinaface import RetinaFace

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # facexlib passes torchvision a deprecated argument
        tensors = RetinaFace(network_name="mobile0.25", device=torch.device("cpu")).state_dict()
    for name, value in tensors.items():
        if name.startswith(("ClassHead", "BboxHead", "LandmarkHead")):
            value.zero_()
    for level in range(3):  # two anchors a cell, two classes each: nothing but the largest is a face
        tensors[f"ClassHead.{level}.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 20.0, 0.0]))
    tensors["ClassHead.2.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 0.0, 5.0]))
    tensors["LandmarkHead.2.conv1x1.bias"].copy_(3.0 * torch.tensor(LOOKS * 2).flatten())
    torch.save({f"module.{name}": value for name, value in tensors.items()}, models / RETINAFACE_MOBILE.name)


def save_parser(models: Path, label: int) -> None:
    """A file of BiSeNet that calls every pixel by one label."""
    from facexlib.parsing.bisenet import BiSeNet

    tensors = BiSeNet(num_class=19).state_dict()
    # The last convolution has no bias: one class follows the mean of positive features, the others nothing.
    tensors["conv_out.conv_out.weight"].zero_()
    tensors["conv_out.conv_out.weight"][label] = 1
    tensors["conv_out.conv.bn.bias"].fill_(1)
    torch.save(tensors, models / BISENET.name)
