"""Tests of degradations: repeatable, within their ranges, equally strong at every size, and equal to OpenCV's."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from refldm_core.data.degradation import RANGES, Degradation, DegradationRanges, Kind, degrade, draw
from refldm_core.errors import SettingsError

Picture = NDArray[np.uint8]

NOTHING = Degradation(0.0, 1.0, 0.0, None)
KINDS = get_args(Kind)


def picture(height: int, width: int) -> Picture:
    """Return smooth shapes and fine stripes, which are the same for every size."""
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    planes = [np.sin(9 * x + 4 * y), np.sin(31 * x * y), np.sin(60 * (x - 0.3 * y))]
    return np.rint(127.5 + 110 * np.stack(planes, axis=-1)).astype(np.uint8)


def psnr(a: Picture, b: Picture) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10.0 * math.log10(255.0**2 / error) if error else math.inf


def shrunk(image: Picture, size: int) -> Picture:
    return np.array(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))


@given(st.sampled_from(KINDS), st.integers(0, 2**64 + 100))
@settings(max_examples=100, deadline=None)
def test_a_seed_draws_the_same_parameters_within_the_ranges(kind: Kind, seed: int) -> None:
    drawn, ranges = draw(RANGES[kind], seed), RANGES[kind]
    assert drawn == draw(ranges, seed) != draw(ranges, seed + 1)
    for name, (low, high) in asdict(ranges).items():
        assert low <= getattr(drawn, name) <= high
    assert isinstance(drawn.jpeg_quality, int)


def test_seeds_of_earlier_versions_draw_the_same_parameters() -> None:
    """Pictures that an earlier version degraded can be reproduced."""
    drawn = draw(RANGES["severe"], 2024)
    numbers = (drawn.blur_sigma, drawn.downscale, drawn.noise_sigma, drawn.jpeg_quality, drawn.noise_seed)
    assert numbers == pytest.approx(
        (13.406650703850254, 13.143756829718184, 6.189040617633834, 94, 3433680739), rel=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_ranges_are_used_completely(kind: Kind) -> None:
    drawn = [draw(RANGES[kind], seed) for seed in range(400)]
    for name, (low, high) in asdict(RANGES[kind]).items():
        values = [getattr(degradation, name) for degradation in drawn]
        assert min(values) < low + 0.05 * (high - low)
        assert max(values) > high - 0.05 * (high - low)
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.06 * (high - low))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_degradation_gives_the_same_picture(kind: Kind) -> None:
    before = picture(96, 96)
    copy = before.copy()
    degradation = replace(draw(RANGES[kind], 3), noise_sigma=10.0)
    once = degrade(before, degradation)
    assert once.shape == before.shape and once.dtype == np.uint8
    assert (once == degrade(before, degradation)).all()
    assert (once != degrade(before, replace(degradation, noise_seed=degradation.noise_seed + 1))).any()
    assert (before == copy).all()


def test_parameters_of_no_degradation_change_nothing() -> None:
    before = picture(200, 130)
    assert (degrade(before, NOTHING) == before).all()
    smooth = degrade(picture(512, 512), Degradation(4.0, 1.0, 0.0, None))
    assert psnr(degrade(smooth, replace(NOTHING, jpeg_quality=100)), smooth) > 40


@pytest.mark.parametrize("size", [96, 512])
def test_stronger_parameters_lower_the_quality(size: int) -> None:
    before = picture(size, size)
    quality = {
        kind: float(np.mean([psnr(degrade(before, draw(RANGES[kind], seed)), before) for seed in range(8)]))
        for kind in KINDS
    }
    assert quality["moderate"] > quality["training"] + 1 > quality["severe"] + 1
    for name, values in {
        "blur_sigma": (2.0, 4.0, 16.0),
        "downscale": (8.0, 16.0, 32.0),  # at 96 pixels, factors below 5.3 shrink nothing
        "noise_sigma": (2.0, 8.0, 20.0),
        "jpeg_quality": (90, 60, 10),
    }.items():
        steps = [psnr(degrade(before, replace(NOTHING, **{name: value})), before) for value in values]
        assert steps[0] > steps[1] > steps[2], name


@pytest.mark.parametrize("size", [96, 128, 256])
@pytest.mark.parametrize(("blur", "factor"), [(4.0, 1.0), (6.0, 6.0), (10.0, 16.0), (16.0, 31.0)])
def test_the_strength_is_the_same_at_every_size(size: int, blur: float, factor: float) -> None:
    large = picture(512, 512)
    degradation = Degradation(blur, factor, 0.0, None)
    of_large, of_small = shrunk(degrade(large, degradation), size), degrade(shrunk(large, size), degradation)
    assert psnr(of_small, of_large) > 40
    assert psnr(of_small, shrunk(large, size)) < 35, "close to each other, not to the original"


def test_noise_and_jpeg_work_on_the_same_pixels_at_every_size() -> None:
    gray = np.full((512, 512, 3), 128, np.uint8)
    degradation = Degradation(0.0, 8.0, 15.0, 40)
    large, small = degrade(gray, degradation), degrade(shrunk(gray, 128), degradation)
    assert psnr(shrunk(large, 64), shrunk(small, 64)) > 45
    assert psnr(shrunk(large, 64), shrunk(gray, 64)) < 35


def test_noise_has_the_given_standard_deviation() -> None:
    noisy = degrade(np.full((512, 512, 3), 128, np.uint8), replace(NOTHING, noise_sigma=12.0)).astype(np.float64)
    assert noisy.mean() == pytest.approx(128, abs=0.1)
    assert noisy.std(axis=(0, 1)) == pytest.approx([12.0] * 3, rel=0.02)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (14, 300), (300, 40), (700, 1000)])
def test_pictures_of_any_shape_keep_their_shape(shape: tuple[int, int]) -> None:
    before = picture(*shape)
    assert degrade(before, Degradation(16.0, 32.0, 20.0, 30)).shape == before.shape
    flat = np.full((*shape, 3), 200, np.uint8)
    assert (degrade(flat, Degradation(16.0, 32.0, 0.0, None)) == 200).all(), "the border is not darkened"


def test_the_shorter_side_scales_the_parameters() -> None:
    wide = np.tile(picture(128, 128), (1, 3, 1))
    degradation = Degradation(6.0, 8.0, 0.0, None)
    middle = degrade(wide, degradation)[:, 128 + 32 : 256 - 32]
    assert psnr(middle, degrade(picture(128, 128), degradation)[:, 32:-32]) > 45


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(6.0, 1.0, 0.0, None),
        Degradation(16.0, 1.0, 0.0, None),
        Degradation(0.0, 7.3, 0.0, 75),
        Degradation(5.0, 8.0, 0.0, 60),
        Degradation(12.0, 31.9, 0.0, 30),
    ],
    ids=str,
)
def test_the_published_steps_in_opencv_give_the_same_picture(degradation: Degradation) -> None:
    """The published steps are a square kernel of 41 pixels, INTER_LINEAR, and OpenCV's own JPEG."""
    before = picture(512, 512)
    values = before[..., ::-1].astype(np.float64)
    if degradation.blur_sigma:
        line = cv2.getGaussianKernel(41, degradation.blur_sigma)
        values = cv2.filter2D(values, -1, line @ line.T)
    side = int(512 // degradation.downscale)
    values = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)
    if degradation.jpeg_quality is not None:
        file = cv2.imencode(
            ".jpg", np.rint(values).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, degradation.jpeg_quality]
        )[1]
        values = cv2.imdecode(file, cv2.IMREAD_COLOR).astype(np.float64)
    values = cv2.resize(values, (512, 512), interpolation=cv2.INTER_LINEAR)
    difference = np.abs(degrade(before, degradation) - np.rint(values)[..., ::-1])
    # The libraries round values halfway between two gray levels differently, and JPEG spreads that over a block.
    assert difference.max() <= 6 and difference.mean() < 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {"blur_sigma": -0.1},
        {"blur_sigma": math.nan},
        {"downscale": 0.9},
        {"downscale": math.inf},
        {"noise_sigma": -1.0},
        {"jpeg_quality": 0},
        {"jpeg_quality": 101},
        {"noise_seed": -1},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="is not a valid degradation"):
        replace(NOTHING, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blur_sigma": (8.0, 0.0)}, "reversed"),
        ({"jpeg_quality": (100, 30)}, "reversed"),
        ({"jpeg_quality": (0, 100)}, "is not a valid degradation"),
        ({"downscale": (0.5, 2.0)}, "is not a valid degradation"),
        ({"noise_sigma": (0.0, math.inf)}, "is not a valid degradation"),
    ],
    ids=str,
)
def test_invalid_ranges_are_refused(wrong: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(RANGES["training"], **wrong)


def test_a_range_may_be_one_value() -> None:
    ranges = DegradationRanges((2.0, 2.0), (4.0, 4.0), (0.0, 0.0), (80, 80))
    assert replace(draw(ranges, 1), noise_seed=0) == Degradation(2.0, 4.0, 0.0, 80)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SettingsError, match="The seed -1 is negative"):
        draw(RANGES["training"], -1)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_that_are_no_8_bit_picture_are_refused(wrong: Picture) -> None:
    with pytest.raises(SettingsError, match="cannot be degraded"):
        degrade(wrong, NOTHING)
