"""Reading of 16-bit, 32-bit and floating-point files that other programs wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from refldm_core.errors import ImageFileError
from refldm_core.images import load_image
from refldm_core.pictures.metadata import Metadata
from refldm_core.pictures.samples import is_deep, read_samples
from refldm_core.pictures.writing import encode_png, encode_tiff

from . import profiles

COLORS = np.random.default_rng(0).integers(0, 65536, (24, 30, 4), dtype=np.uint16)


def _cv2(path: Path, samples: np.ndarray, *options: int) -> None:
    order = [2, 1, 0, 3][: samples.shape[2]] if samples.ndim == 3 else None
    assert cv2.imwrite(str(path), samples if order is None else samples[..., order], options)


def _tifffile(**options: object) -> Callable[[Path, np.ndarray], None]:
    return lambda path, samples: tifffile.imwrite(path, samples, **options)  # type: ignore[arg-type]


RGB, GRAY = {"photometric": "rgb"}, {"photometric": "minisblack"}
FILES: dict[str, tuple[str, np.ndarray, Callable[[Path, np.ndarray], None]]] = {
    "gray PNG": ("a.png", COLORS[..., 0], _cv2),
    "RGB PNG": ("a.png", COLORS[..., :3], _cv2),
    "RGBA PNG": ("a.png", COLORS, _cv2),
    "gray and alpha PNG": (
        "a.png",
        COLORS[..., :2],
        lambda path, samples: path.write_bytes(encode_png(samples, Metadata())),
    ),
    "gray TIFF": ("a.tif", COLORS[..., 0], _tifffile(**GRAY)),
    "gray TIFF, big endian": ("a.tif", COLORS[..., 0], _tifffile(**GRAY, byteorder=">")),
    "RGB TIFF": ("a.tif", COLORS[..., :3], _tifffile(**RGB)),
    "RGB TIFF, big endian": ("a.tif", COLORS[..., :3], _tifffile(**RGB, byteorder=">")),
    "RGB TIFF, in strips": ("a.tif", COLORS[..., :3], _tifffile(**RGB, rowsperstrip=5)),
    "RGB TIFF, in tiles": ("a.tif", COLORS[..., :3], _tifffile(**RGB, tile=(16, 16))),
    "RGB TIFF, LZW": ("a.tif", COLORS[..., :3], lambda p, s: _cv2(p, s, cv2.IMWRITE_TIFF_COMPRESSION, 5)),
    "RGB TIFF, deflate": ("a.tif", COLORS[..., :3], lambda p, s: _cv2(p, s, cv2.IMWRITE_TIFF_COMPRESSION, 8)),
    "RGBA TIFF": ("a.tif", COLORS, _tifffile(**RGB, extrasamples=["unassalpha"])),
}


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        assert is_deep(opened)
        return read_samples(path, opened)


@pytest.mark.parametrize("case", FILES)
def test_all_16_bits_are_read(case: str, tmp_path: Path) -> None:
    name, samples, write = FILES[case]
    write(tmp_path / name, samples)
    assert np.array_equal(_read(tmp_path / name), np.atleast_3d(samples))


def test_a_rotated_file_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLORS[..., :3], photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    assert np.array_equal(_read(path), np.rot90(COLORS[..., :3], -1))


def test_a_file_whose_zero_is_white_is_inverted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLORS[..., 0], photometric="miniswhite")
    assert np.array_equal(_read(tmp_path / "a.tif")[..., 0], 65535 - COLORS[..., 0])


ENCODERS = {"png": encode_png, "tif": encode_tiff}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("ending", ENCODERS)
def test_other_programs_read_the_written_files(ending: str, channels: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (300, 41, channels), dtype=np.uint16)
    path = tmp_path / f"a.{ending}"
    metadata = Metadata(profiles.gray_profile(1.8) if channels < 3 else profiles.adobe_rgb(), (300.0, 200.0))
    path.write_bytes(ENCODERS[ending](samples, metadata))
    if ending == "tif":
        assert np.array_equal(np.atleast_3d(tifffile.imread(path)), samples)
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].tags["InterColorProfile"].value == metadata.profile
    elif channels != 2:  # OpenCV reads gray with alpha as BGRA
        read = np.atleast_3d(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert np.array_equal(read if channels == 1 else read[..., [2, 1, 0, 3][:channels]], samples)
    if (ending, channels) != ("tif", 2):  # Pillow cannot read TIFF files of gray with alpha
        with Image.open(path) as opened:
            assert opened.info["icc_profile"] == metadata.profile
            assert opened.info["dpi"] == pytest.approx((300, 200), abs=0.01)
        assert np.array_equal(_read(path), samples)


RAMP = np.linspace(0, 1, 256).reshape(16, 16)
SCALED = {
    "float from 0 to 1": (RAMP.astype(np.float32), {}),
    "float of a declared range": (
        (RAMP * 300 - 100).astype(np.float32),
        {"extratags": [(340, 11, 1, -100.0, True), (341, 11, 1, 200.0, True)]},
    ),
    "32 bits": ((RAMP * (2**32 - 1)).astype(np.uint32), {}),
    "32 bits, signed": ((RAMP * (2**31 - 1)).astype(np.int32), {}),
    "32 bits of a declared range": ((RAMP * 50000).astype(np.uint32), {"extratags": [(341, 4, 1, 50000, True)]}),
    "16 bits, signed": ((RAMP * (2**15 - 1)).astype(np.int16), {}),
}


@pytest.mark.parametrize("case", SCALED)
def test_samples_of_another_range_are_scaled(case: str, tmp_path: Path) -> None:
    samples, options = SCALED[case]
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", **options)  # type: ignore[arg-type]
    assert np.abs(_read(tmp_path / "a.tif")[..., 0] / 65535 - RAMP).max() < 1e-4
    assert np.abs(np.asarray(load_image(tmp_path / "a.tif"))[..., 1] / 255 - RAMP).max() < 0.003


REFUSED = {
    "float up to 255": ((RAMP * 255).astype(np.float32), "samples from 0 to 255"),
    "float below 0": ((RAMP - 0.5).astype(np.float32), "samples from -0.5 to 0.5"),
    "not a number": (np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32), "samples from nan"),
    "float that would be black": ((RAMP / 1000).astype(np.float32), "samples from 0 to 0.001"),
    "32 bits that would be black": ((RAMP * 65535).astype(np.uint32), "samples from 0 to 65535"),
    "16 bits below 0": ((RAMP * 1000 - 500).astype(np.int16), "samples from -500 to 500"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_samples_of_an_unknown_range_are_refused(case: str, tmp_path: Path) -> None:
    samples, message = REFUSED[case]
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack")
    with pytest.raises(ImageFileError, match=message) as caught:
        load_image(tmp_path / "a.tif")
    assert "16-bit PNG or TIFF" in caught.value.remedy


def test_a_layout_that_pillow_misreads_is_refused(tmp_path: Path) -> None:
    planes = np.moveaxis(COLORS[..., :3], -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageFileError, match="cannot be read without loss"):
        load_image(tmp_path / "a.tif")


def test_a_black_picture_is_not_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.float32), photometric="minisblack")
    assert not np.asarray(load_image(tmp_path / "a.tif")).any()
