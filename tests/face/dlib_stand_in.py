"""A stand-in for dlib, for machines without it: the same functions, with descriptors that are mean colors."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from refldm_core.face.dlib_recognizer import NETWORK, PREDICTOR, DlibRecognizer


class Rectangle(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def _get_face_chip(picture: np.ndarray, box: Rectangle, *, size: int, padding: float) -> np.ndarray:
    assert picture.dtype == np.uint8 and picture.flags.c_contiguous and (size, padding) == (150, 0.25)
    return picture[box.top : box.bottom, box.left : box.right]


class _Network:
    def __init__(self, path: str) -> None:
        assert Path(path).is_file()

    def compute_face_descriptor(self, chip: np.ndarray) -> list[float]:
        # One number for each of four vertical strips. Like dlib's descriptors, they are far from the origin.
        return [1.0 + float(strip.mean()) / 255 for strip in np.array_split(chip, 4, axis=1)]


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Replace dlib by the stand-in, with network files in `folder`."""
    files = folder / PREDICTOR, folder / NETWORK
    for file in files:
        file.write_bytes(file.name.encode())
    monkeypatch.setattr(DlibRecognizer, "files", staticmethod(lambda: files))
    module = SimpleNamespace(
        rectangle=Rectangle,
        shape_predictor=lambda path: lambda picture, box: box,
        get_face_chip=_get_face_chip,
        face_recognition_model_v1=_Network,
    )
    monkeypatch.setitem(sys.modules, "dlib", module)
