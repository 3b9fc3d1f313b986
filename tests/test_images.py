from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from refldm_core import images
from refldm_core.errors import ImageFileError, OutputError
from refldm_core.images import (
    bhwc_to_model,
    load_image,
    model_to_bhwc,
    round_to_u8,
    save_image,
    tensor_to_u8,
    to_pil,
    to_tensor,
    u8_to_tensor,
)
from refldm_core.photo_files import load_photo


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), "blue")
    image.paste("red", (0, 0, 5, 10))  # the left quarter
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to see it upright
    image.save(tmp_path / "turned.png", exif=exif)
    upright = load_image(tmp_path / "turned.png")
    assert upright.size == (10, 20)
    assert upright.getpixel((5, 1)) == (255, 0, 0) and upright.getpixel((5, 18)) == (0, 0, 255)


def test_sixteen_bit_gray_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 257, 32896, 65535] * 2] * 8, np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(load_image(tmp_path / "deep.png"))[0, :4, 0].tolist() == [0, 1, 128, 255]


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert load_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageFileError, match="cannot be read"):
        load_image(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("mode", "size"), [("RGB", (6400, 6400)), ("L", (6400, 6400)), ("RGBA", (4100, 4100)), ("I;16", (4100, 4100))]
)
def test_a_small_file_of_a_very_large_picture_is_refused(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    Image.new(mode, size).save(tmp_path / "bomb.png")
    for read in (load_image, load_photo):
        with pytest.raises(ImageFileError, match="as no photo has") as caught:
            read(tmp_path / "bomb.png")
        assert "million pixels" in caught.value.expected and caught.value.remedy


def test_a_large_picture_in_a_file_of_usual_size_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_MOST_PIXELS", 1000)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    assert load_image(tmp_path / "photo.png").size == (64, 64)
    Image.new("RGB", (64, 640)).save(tmp_path / "plain.png")
    with pytest.raises(ImageFileError, match="as no photo has"):
        load_image(tmp_path / "plain.png")


def test_every_gray_level_survives_the_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    # The published truncation gives back the same level or, because of a rounding error, the level below.
    truncated = tensor_to_u8(u8_to_tensor(levels)).int()
    assert ((levels.int() - truncated) <= 1).all() and (truncated <= levels).all()
    assert tensor_to_u8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    assert torch.equal(round_to_u8(u8_to_tensor(levels)), levels)
    assert round_to_u8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_the_conversions_between_model_and_comfyui_layout_are_inverse() -> None:
    images = torch.rand(2, 4, 6, 3)
    model = bhwc_to_model(images)
    assert model.shape == (2, 3, 4, 6)
    assert model[1, 2, 3, 4] == images[1, 3, 4, 2] * 2 - 1
    torch.testing.assert_close(model_to_bhwc(model), images)
    assert bhwc_to_model(torch.rand(1, 4, 4, 4)).shape == (1, 3, 4, 4)  # alpha is dropped


def test_a_saved_picture_loads_with_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    image = Image.fromarray(pixels)
    assert np.abs(np.asarray(to_pil(to_tensor(image, 32))).astype(int) - pixels).max() <= 1
    save_image(image, tmp_path / "a.png")
    assert np.array_equal(np.asarray(load_image(tmp_path / "a.png")), pixels)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_saved_picture_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    save_image(Image.new("RGB", (9, 9)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_unknown_format_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not end in a picture format"):
        save_image(Image.new("RGB", (9, 9)), tmp_path / "a.docx")
    assert not list(tmp_path.iterdir())
