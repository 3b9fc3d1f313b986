"""Photos for `refldm restore` with color spaces, depths and EXIF data, and reading of the results.

The networks are stand-ins: the detector finds one face at a known place, and a restored face is a patch of skin.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from torch import Tensor

from refldm_core.face.types import Face, Landmarks5

from ..pictures import profiles
from ..pictures.profiles import ADOBE_RGB, DISPLAY_P3, Primaries

SKIN = np.array([0.8, 0.62, 0.5])
"""Color of a restored face: sRGB in [0, 1]."""
FACE, FAR = (slice(76, 84), slice(76, 84)), (slice(None), slice(192, None))
"""Rows and columns of the middle of the face, and of an area that no crop of the face reaches."""
LANDMARKS = np.array([[68.0, 70.0], [92.0, 70.0], [80.0, 82.0], [71.0, 92.0], [89.0, 92.0]])

SPACES: dict[str, tuple[bytes, Primaries, float | None]] = {
    "Adobe RGB": (profiles.adobe_rgb(), ADOBE_RGB, 563 / 256),
    "Display P3": (profiles.display_p3(), DISPLAY_P3, None),
}
"""Name -> ICC profile, primaries, and gamma (None for the curve of sRGB)."""


class StandInDetector:
    """Finds one face, and records the pictures that the networks see."""

    seen: NDArray[np.uint8]
    """The photo that the detector searched."""
    crops: Tensor
    """The crops that were to be restored."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        self.seen = image.copy()
        return [Face((60.0, 50.0, 100.0, 110.0), 0.99, Landmarks5(LANDMARKS))]


def photo_colors(channels: int = 3, depth: type = np.uint8) -> np.ndarray:
    """Return a photo (160, 256, channels) of noise around a medium gray, smooth at the face."""
    white = np.iinfo(depth).max
    colors = np.random.default_rng(0).integers(int(0.2 * white), int(0.7 * white), (160, 256, channels), dtype=depth)
    colors[40:120, 40:120] = int(0.45 * white)
    return colors


def read_samples(path: Path) -> np.ndarray:
    """Return the samples of a file as OpenCV reads them, in the order gray, RGB or RGBA."""
    samples = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    return samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def open_image(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        opened.load()
        return opened


def exif_data(*, orientation: int = 1) -> bytes:
    """Return EXIF data with a thumbnail, which cameras write into a second directory."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Ann", orientation
    exif[ExifTags.IFD.Exif] = {0x9003: "2020:02:02 20:20:20", 0xA002: 256, 0xA003: 160, 0x829A: 0.005, 0x927C: b"note"}
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (48.0, 12.0, 1.5), 3: "E", 4: (16.0, 22.0, 3.0)}
    data = bytearray(exif.tobytes())
    start, order = 6, "<" if data[6:8] == b"II" else ">"
    entries = struct.unpack_from(order + "H", data, start + 8)[0]
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 10), "red").save(thumbnail, "JPEG")
    second = len(data) - start
    struct.pack_into(order + "L", data, start + 10 + 12 * entries, second)
    jpeg = thumbnail.getvalue()
    data += struct.pack(order + "H", 2)
    data += struct.pack(order + "HHLL", 513, 4, 1, second + 2 + 24 + 4) + struct.pack(
        order + "HHLL", 514, 4, 1, len(jpeg)
    )
    return bytes(data + struct.pack(order + "L", 0) + jpeg)


def write_samples(path: Path, samples: np.ndarray) -> None:
    """Write gray, RGB or RGBA samples of 8 or 16 bits into a PNG or TIFF file."""
    if path.suffix == ".png":
        assert cv2.imwrite(str(path), samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]])
    elif samples.ndim == 2:
        tifffile.imwrite(path, samples, photometric="minisblack")
    else:
        extra = ["unassalpha"] if samples.shape[2] == 4 else None
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=extra)


def profile_name(image: Image.Image) -> str:
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))
