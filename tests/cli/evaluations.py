"""Pictures for `refldm evaluate`, and its results as read from the folder `out`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TARGETS = ("a0", "a1", "b0", "c0", "d0", "e0", "f0")
"""Names of the true pictures. The letter is the person."""
METRICS = ("--metrics", "ids", "ids_second", "psnr", "ssim")
ALL = ("--references", "references.csv", "--second-recognizer", "second.onnx")
"""Options with which every metric of `METRICS` has values."""


def smooth_picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))


def add_noise(picture: np.ndarray, strength: float, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, strength, picture.shape)
    return Image.fromarray((picture + noise).round().clip(0, 255).astype(np.uint8))


def read_rows() -> dict[tuple[str, str], dict[str, str]]:
    """Return the rows of per_image.csv by method and image."""
    with Path("out/per_image.csv").open(encoding="utf-8", newline="") as file:
        return {(row["method"], row["image"]): row for row in csv.DictReader(file)}


def read_summary() -> dict[str, Any]:
    return json.loads(Path("out/summary.json").read_text(encoding="utf-8"))


def read_findings() -> set[tuple[str, str, str]]:
    """Return kind, method and picture of each finding."""
    return {(finding["kind"], finding["method"], finding["what"]) for finding in read_summary()["findings"]}
