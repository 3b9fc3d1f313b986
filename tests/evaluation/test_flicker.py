"""Flicker of clips whose flicker is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from refldm_core.errors import PictureError
from refldm_core.evaluation.flicker import Flicker, FlickerMeter, crop_size_for, face_ellipse
from refldm_core.evaluation.identity import PublishedIdentity
from refldm_core.face.identity import Embeddings, normalize
from refldm_core.face.template import template
from refldm_core.face.types import Landmarks5

SIZE, FRAMES = 96, 24
STILL = Landmarks5(template(SIZE))
"""Landmarks whose crop is the whole picture, pixel by pixel."""


class MeanColor:
    """A recognizer whose embedding is the direction of the mean color."""

    def embed(self, crops: Tensor) -> Embeddings:
        return normalize(crops.mean(dim=(2, 3)).double().numpy() + 1.5)


def scene(seed: int = 0) -> np.ndarray:
    """Return a smooth picture (SIZE, SIZE, 3) in 60..190, so that noise is not clipped."""
    coarse = torch.from_numpy(np.random.default_rng(seed).uniform(60, 190, (1, 3, 9, 9)))
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic", align_corners=True)
    return smooth[0].movedim(0, -1).numpy().clip(50, 200)


def to_frames(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def measure(
    truth: np.ndarray, restored: np.ndarray, landmarks: Sequence[Landmarks5] | None = None, identity: bool = False
) -> Flicker:
    meter = FlickerMeter(SIZE, PublishedIdentity(MeanColor()) if identity else None)
    for t, (true_frame, frame) in enumerate(zip(truth, restored, strict=True)):
        meter.add(t, true_frame, frame, landmarks[t] if landmarks else STILL)
    return meter.result()


def still(frames: int = FRAMES) -> np.ndarray:
    return to_frames(np.repeat(scene()[None], frames, axis=0))


def moving() -> np.ndarray:
    """Return a clip whose content moves by (1, 0.5) pixels a frame, in the fixed crop."""
    wide = torch.from_numpy(np.random.default_rng(3).uniform(60, 190, (1, 3, 14, 14)))
    wide = torch.nn.functional.interpolate(wide, (SIZE + 48, SIZE + 48), mode="bicubic", align_corners=True)
    frames = []
    for t in range(FRAMES):
        shifted = torch.roll(wide, (t // 2, t), dims=(2, 3))[..., 24 : 24 + SIZE, 24 : 24 + SIZE]
        frames.append(shifted[0].movedim(0, -1).numpy())
    return to_frames(np.stack(frames).clip(50, 200))


def noise(sigma: float, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, sigma, shape)


def test_identical_clips_have_no_flicker() -> None:
    for clip in (still(), moving()):
        flicker = measure(clip, clip, identity=True)
        assert flicker.deviation == 0.0 and flicker.excess_warping_error == 0.0 and flicker.identity_drift == 0.0
        assert flicker.likeness == pytest.approx(1.0) and flicker.likeness_deviation == pytest.approx(0.0, abs=1e-6)
        assert (flicker.frames, flicker.pairs, flicker.crop_size) == (FRAMES, FRAMES - 1, SIZE)


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_independent_noise_gives_its_standard_deviation(sigma: float) -> None:
    """Rounding to whole gray levels adds a variance of a twelfth."""
    truth = still()
    flicker = measure(truth, to_frames(truth + noise(sigma, truth.shape)))
    expected = np.sqrt(sigma**2 + 1 / 12)
    assert flicker.deviation == pytest.approx(expected, rel=0.02)
    assert flicker.warping_error == pytest.approx(expected, rel=0.02)
    assert flicker.truth_warping_error == pytest.approx(0.0, abs=0.01)


def test_noise_on_a_moving_face_gives_its_standard_deviation() -> None:
    """The truth's motion cancels in the deviation. Warping between pixels averages some of the noise."""
    truth = moving()
    flicker = measure(truth, to_frames(truth + noise(6.0, truth.shape)))
    assert flicker.deviation == pytest.approx(6.0, rel=0.02)
    assert 0.7 * 6.0 < flicker.warping_error < 1.05 * 6.0
    assert flicker.truth_warping_error < 1.0 and flicker.visible > 0.95


def test_noise_that_moves_with_the_face_is_no_warping_error_of_its_size() -> None:
    """A fixed pattern in the face is an error of the picture but does not flicker along the motion."""
    truth = still()
    pattern = noise(8.0, truth.shape[1:])
    flicker = measure(truth, to_frames(truth + pattern))
    assert flicker.deviation == 0.0 and flicker.excess_warping_error == pytest.approx(0.0, abs=0.01)


def test_constant_bias_is_no_flicker() -> None:
    for truth in (still(), moving()):
        flicker = measure(truth, truth + np.uint8(20), identity=True)
        assert flicker.deviation == pytest.approx(0.0, abs=1e-3)
        assert flicker.excess_warping_error == pytest.approx(0.0, abs=1e-3)
        assert flicker.identity_drift == pytest.approx(0.0, abs=1e-3)


def test_even_drift_is_no_deviation_but_changes_the_likeness() -> None:
    """One gray level a frame is a warping error of 1 / sqrt(2). The drift of one color turns the embedding."""
    truth = still()
    drift = np.zeros(truth.shape)
    drift[..., 0] = np.arange(FRAMES)[:, None, None]
    flicker = measure(truth, to_frames(truth + drift), identity=True)
    assert flicker.deviation == pytest.approx(0.0, abs=1e-3)
    assert flicker.warping_error == pytest.approx(np.sqrt(1 / 3 / 2), rel=0.01)
    assert flicker.identity_drift is not None and 0.0 < flicker.identity_drift < 1e-4
    assert flicker.likeness_deviation is not None and flicker.likeness_deviation > 10 * flicker.identity_drift


def test_alternating_colors_change_the_identity() -> None:
    truth = still()
    alternating = truth.astype(float)
    alternating[::2, ..., 0] += 40.0
    flicker = measure(truth, to_frames(alternating), identity=True)
    assert flicker.identity_drift is not None and flicker.identity_drift > 1e-4
    assert flicker.truth_identity_change == pytest.approx(0.0, abs=1e-6)
    # d alternates between -40 and 40 in one of three channels.
    assert flicker.deviation == pytest.approx(np.sqrt(40**2 / 3 / 2), rel=0.01)


def test_landmarks_of_the_truth_align_both_clips() -> None:
    """A face that wanders through the picture is measured in its own crop."""
    picture = np.pad(scene(5), ((40, 40), (40, 40), (0, 0)), mode="reflect")
    truth = to_frames(np.stack([np.roll(picture, (t, 2 * t), axis=(0, 1)) for t in range(12)]))
    landmarks = [Landmarks5(template(SIZE) + 40 + np.array([2 * t, t])) for t in range(12)]
    same = measure(truth, truth, landmarks)
    noisy = measure(truth, to_frames(truth + noise(5.0, truth.shape)), landmarks)
    assert same.truth_warping_error == pytest.approx(0.0, abs=0.02)
    assert noisy.deviation == pytest.approx(5.0, rel=0.03) and noisy.warping_error == pytest.approx(5.0, rel=0.03)


def test_frames_beyond_a_gap_make_no_pair() -> None:
    """A change across a cut or a gap in which the face was lost is no flicker."""
    truth = still(8)
    restored = truth.copy()
    restored[4:] += 30
    meter = FlickerMeter(SIZE)
    for t, frame in enumerate((0, 1, 2, 3, 10, 11, 12, 13)):
        meter.add(frame, truth[t], restored[t], STILL)
    assert meter.result().deviation == 0.0 and meter.result().pairs == 6


def test_unusable_frames_are_refused() -> None:
    meter = FlickerMeter(SIZE)
    with pytest.raises(PictureError, match="has 95x96 pixels, and 96x96 in the truth"):
        meter.add(0, still(1)[0], still(1)[0][:, :-1], STILL)
    for t in range(2):
        meter.add(t, still(1)[0], still(1)[0], STILL)
    with pytest.raises(PictureError, match="2 frames and 1 pairs"):
        meter.result()


def test_crop_fits_the_face_within_limits() -> None:
    assert [crop_size_for(side) for side in (105.2, 10.0, 2000.0)] == [105, 64, 512]
    mask = face_ellipse(128)
    # The template's eyes, nose and mouth are in the face. The corners of its box are not.
    assert all(mask[round(y), round(x)] for x, y in template(128))
    assert 0.15 < mask.mean() < 0.2
