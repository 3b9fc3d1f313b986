"""The color space of a photo, which the result of `refldm restore` keeps where its format can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2lab

from refldm_core.images import load_image

from ..pictures import profiles
from ..pictures.profiles import DISPLAY_P3
from .photo_samples import (
    FACE,
    FAR,
    SKIN,
    SPACES,
    StandInDetector,
    open_image,
    photo_colors,
    profile_name,
    read_samples,
)

RestorePhoto = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("name", SPACES)
def test_result_keeps_the_color_space(
    name: str, ending: str, restore_photo: RestorePhoto, detector: StandInDetector, tmp_path: Path
) -> None:
    profile, primaries, gamma = SPACES[name]
    colors = photo_colors()
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profile)
    assert restore_photo("a.png", f"out.{ending}")["notes"] == []
    assert open_image(tmp_path / f"out.{ending}").info["icc_profile"] == profile
    result = np.asarray(open_image(tmp_path / f"out.{ending}").convert("RGB"))
    seen = profiles.as_srgb(colors / 255, primaries, gamma)
    assert np.abs(detector.seen / 255 - seen).max() <= 1.5 / 255, "the networks see sRGB"
    looks = profiles.as_srgb(result[FACE].reshape(-1, 3).mean(axis=0) / 255, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1, "the restored face has the color of the restoration"
    if ending in ("png", "tif"):
        assert np.array_equal(read_samples(tmp_path / f"out.{ending}")[FAR], colors[FAR]), (
            "the rest is unchanged to the last bit"
        )
        assert np.array_equal(result[FAR], colors[FAR])


def test_reference_is_converted_to_srgb(tmp_path: Path) -> None:
    colors = photo_colors()
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profiles.display_p3())
    srgb = profiles.as_srgb(colors / 255, DISPLAY_P3, None)
    assert np.abs(np.asarray(load_image(tmp_path / "a.png")) / 255 - srgb).max() <= 1.5 / 255
    Image.fromarray(colors).save(tmp_path / "b.png", icc_profile=profiles.srgb())
    assert np.array_equal(np.asarray(load_image(tmp_path / "b.png")), colors)


def test_result_keeps_sixteen_bits_and_profile(
    restore_photo: RestorePhoto, detector: StandInDetector, tmp_path: Path
) -> None:
    profile, primaries, gamma = SPACES["Adobe RGB"]
    samples = photo_colors(3, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", iccprofile=profile)
    assert restore_photo("a.tif", "out.png")["notes"] == []
    assert open_image(tmp_path / "out.png").info["icc_profile"] == profile
    result = read_samples(tmp_path / "out.png")
    assert result.dtype == np.uint16 and np.array_equal(result[FAR], samples[FAR])
    looks = profiles.as_srgb(result[FACE].reshape(-1, 3).mean(axis=0) / 65535, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1
    seen = profiles.as_srgb(np.round(samples / 257) / 255, primaries, gamma)
    assert np.abs(detector.seen / 255 - seen).max() <= 1.5 / 255


@pytest.mark.parametrize("profile", [None, profiles.gray_profile(1.8)])
def test_result_of_a_gray_photo_is_gray(profile: bytes | None, restore_photo: RestorePhoto, tmp_path: Path) -> None:
    colors = photo_colors(1)[..., 0]
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profile)
    restore_photo("a.png", "out.png")
    result = open_image(tmp_path / "out.png")
    assert result.mode == "L" and result.info.get("icc_profile") == profile
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], colors[FAR])
    face = np.asarray(result)[FACE].mean() / 255
    linear = face**1.8 if profile else profiles.linear_of_srgb(np.array(face))
    luminance = profiles.linear_of_srgb(SKIN) @ [0.2225, 0.7169, 0.0606]
    assert profiles.srgb_of_linear(linear) == pytest.approx(profiles.srgb_of_linear(luminance), abs=0.015)


def test_palette_photo_keeps_colors_and_profile(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    image = Image.fromarray(photo_colors()).quantize(200)
    image.save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    restore_photo("a.png", "out.png")
    assert open_image(tmp_path / "out.png").info["icc_profile"] == profiles.adobe_rgb()
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], np.asarray(image.convert("RGB"))[FAR])


def test_cmyk_photo_becomes_srgb(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    inks = np.zeros((160, 256, 4), np.uint8)
    inks[:, 192:] = (255, 0, 0, 0)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif", icc_profile=profiles.cmyk_profile())
    notes = restore_photo("a.tif", "out.png")["notes"]
    assert notes == [
        "its CMYK colors were converted to sRGB through its profile and the result is sRGB with 8 bits a channel"
    ]
    result = open_image(tmp_path / "out.png")
    assert "sRGB" in profile_name(result) and result.mode == "RGB"
    assert result.getpixel((10, 10)) == (255, 255, 255), "the white of the profile's paper"
    cyan = rgb2lab(np.array(result.getpixel((220, 80))) / 255)
    assert cyan == pytest.approx([61.4, -18.1, -33.8], abs=1), "Lab 60, -28, -36 of the profile, limited to sRGB"
    inks[:] = (255, 0, 0, 0)
    Image.fromarray(inks, "CMYK").save(tmp_path / "b.jpg")
    assert "roughly, since it has no color profile" in restore_photo("b.jpg", "out.png")["notes"][0]


def test_lab_photo_becomes_srgb(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    lab = np.zeros((160, 256, 3), np.int8)
    lab[..., 0], lab[..., 1], lab[..., 2] = np.array(round(60 * 2.55)).astype(np.int8), 40, -30
    tifffile.imwrite(tmp_path / "a.tif", lab.view(np.uint8), photometric="cielab")
    assert restore_photo("a.tif", "out.png")["notes"] == [
        "its Lab colors were converted to sRGB, and the result is sRGB with 8 bits a channel"
    ]
    assert rgb2lab(np.array(open_image(tmp_path / "out.png").getpixel((220, 80))) / 255) == pytest.approx(
        [60, 40, -30], abs=4
    )


def test_result_is_srgb_where_the_profile_has_no_inverse(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / "a.png", icc_profile=profiles.scanner_profile())
    assert restore_photo("a.png", "out.png")["notes"] == [
        "its color profile (scanner) has no way back, so the result is sRGB"
    ]
    assert "sRGB" in profile_name(open_image(tmp_path / "out.png"))


def test_unusable_profile_is_left_out(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert "cannot be used" in restore_photo("a.png", "out.png")["notes"][0]
    assert "icc_profile" not in open_image(tmp_path / "out.png").info
    assert np.array_equal(read_samples(tmp_path / "out.png")[FAR], photo_colors()[FAR])


def test_format_without_profiles_is_refused(restore_photo: RestorePhoto, tmp_path: Path) -> None:
    Image.fromarray(photo_colors()).save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    error = restore_photo("a.png", "out.bmp")
    assert "out.bmp cannot hold the color profile of a.png" in error["problem"] and "out.png" in error["remedy"]
    assert not (tmp_path / "out.bmp").exists()
    Image.fromarray(photo_colors()).save(tmp_path / "a.png", icc_profile=profiles.srgb())
    restore_photo("a.png", "out.bmp")
    assert np.array_equal(read_samples(tmp_path / "out.bmp")[FAR], photo_colors()[FAR])
