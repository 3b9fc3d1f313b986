"""What `refldm restore` keeps of a photo's file: color space, depth, resolution, EXIF data, transparency.

The networks are stand-ins: one face is found at a known place, and what is restored is a patch of skin.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, JpegImagePlugin
from skimage.color import rgb2lab
from torch import Tensor

from refldm_core.cli import faces
from refldm_core.cli.main import main
from refldm_core.cli.people import FaceTools
from refldm_core.face.types import Face, Landmarks5
from refldm_core.images import load_image
from refldm_core.pipeline import Restorer

from ..pictures import profiles
from ..pictures.profiles import ADOBE_RGB, DISPLAY_P3, Primaries
from ..weights import TinyFiles

Run = Callable[..., dict[str, Any]]

SKIN = np.array([0.8, 0.62, 0.5])
FACE, FAR = (slice(76, 84), slice(76, 84)), (slice(None), slice(192, None))
"""The middle of the face, and what no crop of it reaches: rows and columns."""
LANDMARKS = np.array([[68.0, 70.0], [92.0, 70.0], [80.0, 82.0], [71.0, 92.0], [89.0, 92.0]])


class Detector:
    """Finds one face, and remembers what it saw."""

    seen: NDArray[np.uint8]
    crops: Tensor
    """What was to be restored."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        self.seen = image.copy()
        return [Face((60.0, 50.0, 100.0, 110.0), 0.99, Landmarks5(LANDMARKS))]


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Detector:
    def skin(self: Restorer, crops: Tensor, *args: object) -> Tensor:
        detector.crops = crops
        return (torch.as_tensor(SKIN * 2 - 1).float().view(1, 3, 1, 1)).expand(len(crops), 3, 128, 128).clone()

    detector = Detector()
    monkeypatch.setattr(faces, "load_tools", lambda *args: FaceTools(detector, None, None))
    monkeypatch.setattr(Restorer, "restore", skin)
    return detector


@pytest.fixture
def restore(
    tiny: TinyFiles,
    detector: Detector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command in an empty folder; gives the report of its one photo."""
    monkeypatch.chdir(tmp_path)

    def run(source: str, target: str, *words: str) -> dict[str, Any]:
        model = ["--model", str(tiny.ckpt), "--config", str(tiny.config), "--overwrite"]
        paste = [] if "--aligned" in words else ["--color", "none"]
        code = main(["restore", source, "--output", target, *model, *paste, *words, "--json"])
        report = json.loads(capsys.readouterr().out)
        assert code == (2 if "error" in report else 0)
        return report["error"] if code else report["restored"][0]

    return run


def _colors(channels: int = 3, depth: type = np.uint8) -> np.ndarray:
    """A photo (160, 256, channels) of noise around a medium gray, smooth where the face is."""
    top = np.iinfo(depth).max
    colors = np.random.default_rng(0).integers(int(0.2 * top), int(0.7 * top), (160, 256, channels), dtype=depth)
    colors[40:120, 40:120] = int(0.45 * top)
    return colors


def _cv2(path: Path) -> np.ndarray:
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    return read if read.ndim == 2 else read[..., [2, 1, 0, 3][: read.shape[2]]]


def _open(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        opened.load()
        return opened


def _exif(*, orientation: int = 1) -> bytes:
    """EXIF data with a thumbnail, as cameras write it: a second directory after the first."""
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


SPACES: dict[str, tuple[bytes, Primaries, float | None]] = {
    "Adobe RGB": (profiles.adobe_rgb(), ADOBE_RGB, 563 / 256),
    "Display P3": (profiles.display_p3(), DISPLAY_P3, None),
}


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("name", SPACES)
def test_a_photo_keeps_its_color_space(
    name: str, ending: str, restore: Run, detector: Detector, tmp_path: Path
) -> None:
    profile, primaries, gamma = SPACES[name]
    colors = _colors()
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profile)
    assert restore("a.png", f"out.{ending}")["notes"] == []
    assert _open(tmp_path / f"out.{ending}").info["icc_profile"] == profile
    result = np.asarray(_open(tmp_path / f"out.{ending}").convert("RGB"))
    seen = profiles.as_srgb(colors / 255, primaries, gamma)
    assert np.abs(detector.seen / 255 - seen).max() <= 1.5 / 255, "networks see sRGB"
    looks = profiles.as_srgb(result[FACE].reshape(-1, 3).mean(axis=0) / 255, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1, "what was restored looks as it was restored"
    if ending in ("png", "tif"):
        assert np.array_equal(_cv2(tmp_path / f"out.{ending}")[FAR], colors[FAR]), "the rest, to the last bit"
        assert np.array_equal(result[FAR], colors[FAR])


def test_a_reference_is_converted_to_srgb(tmp_path: Path) -> None:
    colors = _colors()
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profiles.display_p3())
    srgb = profiles.as_srgb(colors / 255, DISPLAY_P3, None)
    assert np.abs(np.asarray(load_image(tmp_path / "a.png")) / 255 - srgb).max() <= 1.5 / 255
    Image.fromarray(colors).save(tmp_path / "b.png", icc_profile=profiles.srgb())
    assert np.array_equal(np.asarray(load_image(tmp_path / "b.png")), colors)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp"])
def test_resolution_and_exif_data(source: str, ending: str, restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / f"a.{source}", exif=_exif(), dpi=(300, 300))
    if source == "webp":  # has its resolution in the EXIF data alone
        exif = Image.Exif()
        exif.load(_exif())
        exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 300.0
        Image.fromarray(_colors()).save(tmp_path / "a.webp", exif=exif)
    restore(f"a.{source}", f"out.{ending}")
    result = _open(tmp_path / f"out.{ending}")
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
    restore(f"a.{source}", f"out.{ending}", "--keep-location")
    exif = _open(tmp_path / f"out.{ending}").getexif()
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48.0, 12.0, 1.5)


def test_a_turned_photo_comes_out_upright(restore: Run, tmp_path: Path) -> None:
    colors = _colors()
    Image.fromarray(np.rot90(colors)).save(tmp_path / "a.png", exif=_exif(orientation=6), dpi=(100, 200))
    restore("a.png", "out.png")
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], colors[FAR])
    result = _open(tmp_path / "out.png")
    assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert result.info["dpi"] == pytest.approx((200, 100), abs=0.01)


def test_damaged_exif_data_is_left_out(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0" + b"\xff" * 40)
    restore("a.png", "out.png")
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], _colors()[FAR])


def _write_deep(path: Path, samples: np.ndarray) -> None:
    if path.suffix == ".png":
        assert cv2.imwrite(str(path), samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]])
    elif samples.ndim == 2:
        tifffile.imwrite(path, samples, photometric="minisblack")
    else:
        extra = ["unassalpha"] if samples.shape[2] == 4 else None
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=extra)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("source", ["png", "tif"])
@pytest.mark.parametrize("kind", ["gray", "RGB", "RGBA"])
def test_sixteen_bits(kind: str, source: str, ending: str, restore: Run, tmp_path: Path) -> None:
    samples = _colors({"gray": 1, "RGB": 3, "RGBA": 4}[kind], np.uint16).squeeze()
    _write_deep(tmp_path / f"a.{source}", samples)
    assert restore(f"a.{source}", f"out.{ending}")["notes"] == []
    result = _cv2(tmp_path / "out.png") if ending == "png" else tifffile.imread(tmp_path / "out.tif")
    assert result.dtype == np.uint16 and result.shape == samples.shape
    assert np.array_equal(result[FAR], samples[FAR]), "the rest, to the last bit of 16"
    if kind == "RGB":
        assert np.abs(result[FACE] / 65535 - SKIN).max() < 1e-3
    elif kind == "gray":
        assert np.abs(result[FACE] / 65535 - SKIN @ [0.299, 0.587, 0.114]).max() < 1e-3
    else:
        assert np.array_equal(result[..., 3], samples[..., 3])


def test_sixteen_bits_and_a_profile(restore: Run, detector: Detector, tmp_path: Path) -> None:
    profile, primaries, gamma = SPACES["Adobe RGB"]
    samples = _colors(3, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", iccprofile=profile)
    assert restore("a.tif", "out.png")["notes"] == []
    assert _open(tmp_path / "out.png").info["icc_profile"] == profile
    result = _cv2(tmp_path / "out.png")
    assert result.dtype == np.uint16 and np.array_equal(result[FAR], samples[FAR])
    looks = profiles.as_srgb(result[FACE].reshape(-1, 3).mean(axis=0) / 65535, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1
    seen = profiles.as_srgb(np.round(samples / 257) / 255, primaries, gamma)
    assert np.abs(detector.seen / 255 - seen).max() <= 1.5 / 255


def test_sixteen_bits_into_a_format_of_eight_are_said(restore: Run, tmp_path: Path) -> None:
    _write_deep(tmp_path / "a.png", _colors(3, np.uint16))
    assert restore("a.png", "out.jpg")["notes"] == [
        "out.jpg has 8 of its 16 bits a channel; PNG and TIFF files have all"
    ]


def test_floats_become_sixteen_bits(restore: Run, tmp_path: Path) -> None:
    samples = _colors(1, np.uint16)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", (samples / 65535).astype(np.float32), photometric="minisblack")
    assert restore("a.tif", "out.png")["notes"] == ["its samples were scaled to 16 bits"]
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], samples[FAR])


@pytest.mark.parametrize("profile", [None, profiles.gray_profile(1.8)])
def test_gray_stays_gray(profile: bytes | None, restore: Run, tmp_path: Path) -> None:
    colors = _colors(1)[..., 0]
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profile)
    restore("a.png", "out.png")
    result = _open(tmp_path / "out.png")
    assert result.mode == "L" and result.info.get("icc_profile") == profile
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], colors[FAR])
    face = np.asarray(result)[FACE].mean() / 255
    linear = face**1.8 if profile else profiles.linear_of_srgb(np.array(face))
    luminance = profiles.linear_of_srgb(SKIN) @ [0.2225, 0.7169, 0.0606]
    assert profiles.srgb_of_linear(linear) == pytest.approx(profiles.srgb_of_linear(luminance), abs=0.015)


def test_transparency_is_kept(restore: Run, detector: Detector, tmp_path: Path) -> None:
    colors = _colors(4)
    colors[..., 3] = np.linspace(0, 255, 256)[None]
    colors[:, :130, 3] = 255
    colors[:40, :130, 3] = 0
    Image.fromarray(colors).save(tmp_path / "a.png")
    assert restore("a.png", "out.png")["notes"] == []
    result = _cv2(tmp_path / "out.png")
    assert np.array_equal(result[FAR], colors[FAR]) and np.array_equal(result[..., 3], colors[..., 3])
    assert np.array_equal(result[:40, :130], colors[:40, :130]), "what is not seen"
    assert np.abs(result[FACE][..., :3] / 255 - SKIN).max() < 0.01
    assert (detector.seen[:40, :130] == 255).all(), "networks see it on white"
    assert "put on white" in restore("a.png", "out.jpg")["notes"][0]


def test_an_enlarged_photo_keeps_what_it_says(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors(4)).save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    restore("a.png", "out.png", "--upscale", "1.5")
    result = _open(tmp_path / "out.png")
    assert result.size == (384, 240) and result.mode == "RGBA"
    assert result.info["icc_profile"] == profiles.adobe_rgb()


def test_a_palette_keeps_its_colors_and_profile(restore: Run, tmp_path: Path) -> None:
    image = Image.fromarray(_colors()).quantize(200)
    image.save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    restore("a.png", "out.png")
    assert _open(tmp_path / "out.png").info["icc_profile"] == profiles.adobe_rgb()
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], np.asarray(image.convert("RGB"))[FAR])


def test_cmyk_becomes_srgb(restore: Run, tmp_path: Path) -> None:
    inks = np.zeros((160, 256, 4), np.uint8)
    inks[:, 192:] = (255, 0, 0, 0)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif", icc_profile=profiles.cmyk_profile())
    notes = restore("a.tif", "out.png")["notes"]
    assert notes == [
        "its CMYK colors were converted to sRGB through its profile and the result is sRGB with 8 bits a channel"
    ]
    result = _open(tmp_path / "out.png")
    assert "sRGB" in _profile_name(result) and result.mode == "RGB"
    assert result.getpixel((10, 10)) == (255, 255, 255), "the profile's paper"
    cyan = rgb2lab(np.array(result.getpixel((220, 80))) / 255)
    assert cyan == pytest.approx([61.4, -18.1, -33.8], abs=1), "the profile's Lab 60, -28, -36, as far as sRGB has it"
    inks[:] = (255, 0, 0, 0)
    Image.fromarray(inks, "CMYK").save(tmp_path / "b.jpg")
    assert "roughly, since it has no color profile" in restore("b.jpg", "out.png")["notes"][0]


def test_lab_becomes_srgb(restore: Run, tmp_path: Path) -> None:
    lab = np.zeros((160, 256, 3), np.int8)
    lab[..., 0], lab[..., 1], lab[..., 2] = np.array(round(60 * 2.55)).astype(np.int8), 40, -30
    tifffile.imwrite(tmp_path / "a.tif", lab.view(np.uint8), photometric="cielab")
    assert restore("a.tif", "out.png")["notes"] == [
        "its Lab colors were converted to sRGB, and the result is sRGB with 8 bits a channel"
    ]
    assert rgb2lab(np.array(_open(tmp_path / "out.png").getpixel((220, 80))) / 255) == pytest.approx(
        [60, 40, -30], abs=4
    )


def test_a_profile_with_no_way_back(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / "a.png", icc_profile=profiles.scanner_profile())
    assert restore("a.png", "out.png")["notes"] == [
        "its color profile (scanner) has no way back, so the result is sRGB"
    ]
    assert "sRGB" in _profile_name(_open(tmp_path / "out.png"))


def test_an_unusable_profile_is_left_out(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert "cannot be used" in restore("a.png", "out.png")["notes"][0]
    assert "icc_profile" not in _open(tmp_path / "out.png").info
    assert np.array_equal(_cv2(tmp_path / "out.png")[FAR], _colors()[FAR])


def test_a_format_without_profiles_is_refused(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / "a.png", icc_profile=profiles.adobe_rgb())
    error = restore("a.png", "out.bmp")
    assert "out.bmp cannot hold the color profile of a.png" in error["problem"] and "out.png" in error["remedy"]
    assert not (tmp_path / "out.bmp").exists()
    Image.fromarray(_colors()).save(tmp_path / "a.png", icc_profile=profiles.srgb())
    restore("a.png", "out.bmp")
    assert np.array_equal(_cv2(tmp_path / "out.bmp")[FAR], _colors()[FAR])


def test_a_jpeg_file_is_of_high_quality(restore: Run, tmp_path: Path) -> None:
    Image.fromarray(_colors()).save(tmp_path / "a.png")
    restore("a.png", "out.jpg")
    result = Image.open(tmp_path / "out.jpg")
    assert JpegImagePlugin.get_sampling(result) == 0, "4:4:4"
    same = io.BytesIO()
    Image.new("RGB", (8, 8)).save(same, "JPEG", quality=95)
    assert result.quantization == Image.open(same).quantization


def test_an_aligned_crop_keeps_what_it_says(restore: Run, detector: Detector, tmp_path: Path) -> None:
    profile, primaries, gamma = SPACES["Adobe RGB"]
    tifffile.imwrite(tmp_path / "a.tif", _colors(3, np.uint16), photometric="rgb", iccprofile=profile)
    restore("a.tif", "out.png", "--aligned")
    result = _cv2(tmp_path / "out.png")
    assert result.dtype == np.uint16 and result.shape == (128, 128, 3)
    looks = profiles.as_srgb(result.reshape(-1, 3).mean(axis=0) / 65535, primaries, gamma)
    assert np.linalg.norm(rgb2lab(looks) - rgb2lab(SKIN)) < 1
    assert _open(tmp_path / "out.png").info["icc_profile"] == profile
    Image.new("RGBA", (160, 160), (10, 20, 30, 0)).save(tmp_path / "a.png", icc_profile=profile)
    restore("a.png", "out.png", "--aligned")
    assert (detector.crops == 1).all() and _open(tmp_path / "out.png").mode == "RGB"
    Image.fromarray(_colors(1)[..., 0]).save(tmp_path / "b.jpg", icc_profile=profiles.gray_profile(1.8), exif=_exif())
    restore("b.jpg", "out.png", "--aligned")
    result = _open(tmp_path / "out.png")
    assert result.mode == "RGB" and "sRGB" in _profile_name(result)
    assert result.getexif()[ExifTags.Base.Artist] == "Ann"


def _profile_name(image: Image.Image) -> str:
    from PIL import ImageCms

    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))
