"""The properties of a photo's file that `refldm restore` keeps: depth, resolution, EXIF data, transparency."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, JpegImagePlugin
from skimage.color import rgb2lab

from ..pictures import profiles
from .photo_samples import (
    FACE,
    FAR,
    SKIN,
    SPACES,
    StandInDetector,
    exif_data,
    open_image,
    photo_colors,
    profile_name,
    read_samples,
    write_samples,
)

RestorePhoto = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp"])
def test_result_keeps_resolution_and_exif_data(
    source: str, ending: str, restore_photo: RestorePhoto, tmp_path: Path
) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / f"a.{source}", exif=exif_data(), dpi=(300, 300))
    if source == "webp":  # WebP files hold the resolution in the EXIF data only
        exif = Image.Exif()
        exif.load(exif_data())
        exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 300.0
        Image.fromarray(photo_colors()).save(tmp_path / "a.webp", exif=exif)
    restore_photo(f"a.{source}", f"out.{ending}")
    result = open_image(tmp_path / f"out.{ending}")
    exif = result.getexif()
    assert exif[ExifTags.Base.Artist] == "Ann"
    if source != "webp":
        assert float(exif[ExifTags.Base.XResolution]) == pytest.approx(300, abs=0.01)
        assert ending == "webp" or result.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[0x9003] == "2020:02:02 20:20:20" and float(details[0x829A]) == pytest.approx(0.005)
    assert 0xA002 not in details and 0x927C not in details
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo) and not exif.get_ifd(ExifTags.IFD.IFD1)
    content = (tmp_path / f"out.{ending}").read_bytes()
    assert content.count(b"\xff\xd8\xff") == (ending == "jpg"), "no thumbnail"
    restore_photo(f"a.{source}", f"out.{ending}", "--keep-location")
    exif = open_image(tmp_path / f"out.{ending}").getexif()
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48.0, 12.0, 1.5)


def test_result_of_a_rotated_photo_is_upright(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    colors = photo_colors()
    Image.fromarray(np.rot90(colors)).save(tmp_path / "a.png", exif=exif_data(orientation=6), dpi=(100, 200))
    restore_photo("a.png", "out.png")
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], colors[FAR])
    result = open_image(tmp_path / "out.png")
    assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert result.info["dpi"] == pytest.approx((200, 100), abs=0.01)


def test_damaged_exif_data_is_left_out(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0" + b"\xff" * 40)
    restore_photo("a.png", "out.png")
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], photo_colors()[FAR])


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("source", ["png", "tif"])
@pytest.mark.parametrize("kind", ["gray", "RGB", "RGBA"])
def test_result_keeps_sixteen_bits(
    kind: str, source: str, ending: str, restore_photo: RestorePhoto, tmp_path: Path
) -> None:
    samples = photo_colors({"gray": 1, "RGB": 3, "RGBA": 4}[kind], np.uint16).squeeze()
    write_samples(tmp_path / f"a.{source}", samples)
    assert restore_photo(f"a.{source}", f"out.{ending}")["notes"] == []
    result = read_samples(tmp_path / "out.png") if ending == "png" else tifffile.imread(tmp_path / "out.tif")
    assert result.dtype == np.uint16 and result.shape == samples.shape
    assert np.array_equal(result[FAR], samples[FAR]), "the rest is unchanged to the last of 16 bits"
    if kind == "RGB":
        assert np.abs(result[FACE] / 65535 - SKIN).max() < 1e-3
    elif kind == "gray":
        assert np.abs(result[FACE] / 65535 - SKIN @ [0.299, 0.587, 0.114]).max() < 1e-3
    else:
        assert np.array_equal(result[..., 3], samples[..., 3])


def test_note_on_a_format_with_eight_bits(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    write_samples(tmp_path / "a.png", photo_colors(3, np.uint16))
    assert restore_photo("a.png", "out.jpg")["notes"] == [
        "out.jpg has 8 of its 16 bits a channel; PNG and TIFF files have all"
    ]


def test_float_samples_become_sixteen_bits(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    samples = photo_colors(1, np.uint16)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", (samples / 65535).astype(np.float32), photometric="minisblack")
    assert restore_photo("a.tif", "out.png")["notes"] == ["its samples were scaled to 16 bits"]
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], samples[FAR])


def test_result_keeps_transparency(restore_photo: RestorePhoto, detector: StandInDetector, tmp_path: Path) -> None:
    colors = photo_colors(4)
    colors[..., 3] = np.linspace(0, 255, 256)[None]
    colors[:, :130, 3] = 255
    colors[:40, :130, 3] = 0
    Image.fromarray(colors).save(tmp_path / "a.png")
    assert restore_photo("a.png", "out.png")["notes"] == []
    result = read_samples(tmp_path / "out.png")
    assert np.array_equal(result[FAR], colors[FAR]) and np.array_equal(result[..., 3], colors[..., 3])
    assert np.array_equal(result[:40, :130], colors[:40, :130]), "the colors of invisible pixels are unchanged"
    assert np.abs(result[FACE][..., :3] / 255 - SKIN).max() < 0.01
    assert (detector.seen[:40, :130] == 255).all(), "the networks see transparent pixels as white"
    assert "put on white" in restore_photo("a.png", "out.jpg")["notes"][0]


def test_enlarged_photo_keeps_profile_and_transparency(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors(4)).save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    restore_photo("a.png", "out.png", "--upscale", "1.5")
    result = open_image(tmp_path / "out.png")
    assert result.size == (384, 240) and result.mode == "RGBA"
    assert result.info["icc_profile"] == profiles.adobe_rgb()


def test_jpeg_result_has_high_quality(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / "a.png")
    restore_photo("a.png", "out.jpg")
    result = Image.open(tmp_path / "out.jpg")
    assert JpegImagePlugin.get_sampling(result) == 0, "the colors are not subsampled (4:4:4)"
    reference = io.BytesIO()
    Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=95)
    assert result.quantization == Image.open(reference).quantization


def test_aligned_crop_keeps_depth_profile_and_exif_data(
    restore_photo: RestorePhoto, detector: StandInDetector, tmp_path: Path
) -> None:
    profile, primaries, gamma = SPACES["Adobe RGB"]
    tifffile.imwrite(tmp_path / "a.tif", photo_colors(3, np.uint16), photometric="rgb", iccprofile=profile)
    restore_photo("a.tif", "out.png", "--aligned")
    result = read_samples(tmp_path / "out.png")
    assert result.dtype == np.uint16 and result.shape == (128, 128, 3)
    looks = profiles.as_srgb(result.reshape(-1, 3).mean(axis=0) / 65535, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1
    assert open_image(tmp_path / "out.png").info["icc_profile"] == profile
    Image.new("RGBA", (160, 160), (10, 20, 30, 0)).save(tmp_path / "a.png", icc_profile=profile)
    restore_photo("a.png", "out.png", "--aligned")
    assert (detector.crops == 1).all() and open_image(tmp_path / "out.png").mode == "RGB"
    Image.fromarray(photo_colors(1)[..., 0]).save(
        tmp_path / "b.jpg", icc_profile=profiles.gray_profile(1.8), exif=exif_data()
    )
    restore_photo("b.jpg", "out.png", "--aligned")
    result = open_image(tmp_path / "out.png")
    assert result.mode == "RGB" and "sRGB" in profile_name(result)
    assert result.getexif()[ExifTags.Base.Artist] == "Ann"
