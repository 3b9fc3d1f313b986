"""Conversions between color spaces, compared with the definitions of the spaces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from refldm_core.pictures.color import UnusableProfileError, color_space, srgb_profile

from . import profiles
from .profiles import ADOBE_RGB, DISPLAY_P3, Primaries

SPACES: dict[str, tuple[bytes, Primaries, float | None]] = {
    "Adobe RGB": (profiles.adobe_rgb(), ADOBE_RGB, 563 / 256),
    "Display P3": (profiles.display_p3(), DISPLAY_P3, None),
}


def _patches() -> np.ndarray:
    """Return colors (n, 3) in 0..1: a ramp of grays, and noisy skin colors from dark to light."""
    rng = np.random.default_rng(0)
    skin = np.array([0.75, 0.57, 0.47]) * np.linspace(0.3, 1.2, 400)[:, None] + rng.normal(0, 0.04, (400, 3))
    return np.concatenate([np.linspace(0, 1, 200)[:, None].repeat(3, 1), skin.clip(0, 1)])


@pytest.mark.parametrize("name", SPACES)
def test_a_picture_is_converted_to_srgb(name: str) -> None:
    profile, primaries, gamma = SPACES[name]
    space = color_space(profile, "RGB")
    assert space is not None and space.name.startswith(name)
    levels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    converted = np.asarray(space.to_srgb(Image.fromarray(levels))) / 255
    assert np.abs(converted - profiles.as_srgb(levels / 255, primaries, gamma)).max() <= 1.5 / 255


@pytest.mark.parametrize("name", SPACES)
def test_conversion_from_srgb_has_no_visible_error(name: str) -> None:
    profile, primaries, gamma = SPACES[name]
    space = color_space(profile, "RGB")
    assert space is not None
    patches = _patches()
    values = space.from_srgb(torch.as_tensor(patches.T[None, :, :, None] * 2 - 1).float())
    assert values.shape == (1, 3, len(patches), 1) and values.abs().max() <= 1
    converted = ((values[0, :, :, 0].T.double().numpy() + 1) / 2).clip(0, 1)
    difference = np.linalg.norm(rgb2lab(profiles.as_srgb(converted, primaries, gamma)) - rgb2lab(patches), axis=1)
    assert difference.max() < 1 and difference.mean() < 0.35  # CIE 1976 delta E; 2.3 is just noticeable


def test_conversion_from_srgb_has_no_steps_of_8_bits() -> None:
    """A network's values for a 16-bit photo lie between 8-bit levels, and must stay there."""
    space = color_space(profiles.adobe_rgb(), "RGB")
    assert space is not None
    ramp = torch.linspace(0.2, 0.24, 200).view(1, 1, 200, 1).expand(1, 3, -1, -1)
    assert len(space.from_srgb(ramp)[0, 0].unique()) > 150


def test_a_gray_space_is_converted_in_both_directions() -> None:
    space = color_space(profiles.gray_profile(1.8), "L")
    assert space is not None
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(8, 0)
    srgb = np.asarray(space.to_srgb(Image.fromarray(ramp)))
    assert np.abs(srgb[0, :, 0] / 255 - profiles.srgb_of_linear((ramp[0] / 255) ** 1.8)).max() <= 1.5 / 255
    gray = space.from_srgb(torch.as_tensor(srgb.copy()).movedim(-1, 0)[None].float() / 127.5 - 1)
    assert gray.shape == (1, 3, 8, 256) and (gray[:, 0] == gray[:, 1]).all()
    assert ((gray[0, 0, 0] + 1) * 127.5 - torch.arange(256)).abs()[16:].max() <= 1.5


@pytest.mark.parametrize("profile", [profiles.srgb(), srgb_profile()])
def test_srgb_needs_no_conversion(profile: bytes) -> None:
    assert color_space(profile, "RGB") is None


@pytest.mark.parametrize(("profile", "mode"), [(profiles.cmyk_profile(), "CMYK"), (profiles.scanner_profile(), "RGB")])
def test_a_profile_without_conversion_from_srgb_has_no_table(profile: bytes, mode: str) -> None:
    space = color_space(profile, mode)
    assert space is not None and space.table is None


UNUSABLE = {
    "no profile": (b"no profile", "RGB"),
    "truncated": (profiles.adobe_rgb()[:200], "RGB"),
    "CMYK profile for RGB": (profiles.cmyk_profile(), "RGB"),
    "RGB profile for gray": (profiles.adobe_rgb(), "L"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_profile_is_refused(case: str) -> None:
    with pytest.raises(UnusableProfileError):
        color_space(*UNUSABLE[case])
