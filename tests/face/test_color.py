"""Color matching, compared with scikit-image's color spaces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from refldm_core.errors import SettingsError
from refldm_core.face.color import lab_to_rgb, match_colors, rgb_to_lab
from refldm_core.face.warping import gaussian_blur
from tests.face.toys import collage

PICTURE = collage(256, 256)
CAST = torch.tensor([0.15, -0.05, -0.1]).view(3, 1, 1)


def test_lab_equals_that_of_scikit_image_and_is_invertible():
    oracle = rgb2lab(((PICTURE + 1) / 2).movedim(0, -1).double().numpy())
    np.testing.assert_allclose(rgb_to_lab(PICTURE).movedim(0, -1).numpy(), oracle, atol=0.02)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(PICTURE)), PICTURE, atol=2e-3, rtol=0)


@pytest.mark.parametrize("method", ["wavelet", "lab"])
def test_a_color_cast_is_removed(method):
    original = PICTURE * 0.6
    matched = match_colors(original + CAST, original, method)
    assert (matched - original).abs().mean() < 0.15 * CAST.abs().mean()


def test_lab_matches_mean_and_deviation_inside_the_mask():
    mask = torch.zeros(256, 256)
    mask[64:192, 64:192] = 1
    restored = (PICTURE * 0.5 + CAST).clone()
    matched = rgb_to_lab(match_colors(restored, PICTURE * 0.7, "lab", mask))[:, 64:192, 64:192]
    target = rgb_to_lab(PICTURE * 0.7)[:, 64:192, 64:192]
    torch.testing.assert_close(matched.mean(dim=(1, 2)), target.mean(dim=(1, 2)), atol=0.6, rtol=0)
    torch.testing.assert_close(matched.std(dim=(1, 2)), target.std(dim=(1, 2)), atol=0.8, rtol=0)
    assert torch.equal(match_colors(restored, PICTURE, "lab", torch.zeros(256, 256)), restored)


def test_wavelet_keeps_restored_detail():
    original = gaussian_blur(PICTURE, 4.0)
    matched = match_colors(PICTURE + CAST, original, "wavelet")
    detail = PICTURE - gaussian_blur(PICTURE, 2.0)
    torch.testing.assert_close(matched - gaussian_blur(matched, 2.0), detail, atol=0.1, rtol=0)
    assert (matched.mean(dim=(1, 2)) - original.mean(dim=(1, 2))).abs().max() < 0.01


def test_none_returns_the_crop_and_unknown_methods_are_refused():
    assert match_colors(PICTURE, -PICTURE, "none") is PICTURE
    with pytest.raises(SettingsError, match="no color match"):
        match_colors(PICTURE, PICTURE, "adain")
