"""Quality of reference photos: blur, pose, visible share and perceptual hashes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.measure import blur_effect

from refldm_core.face.alignment import align, crop_transform
from refldm_core.face.quality import (
    Pose,
    blur,
    estimate_pose,
    hash_distance,
    inside_share,
    measure_quality,
    perceptual_hash,
)
from refldm_core.face.reference_rules import ReferenceSettings
from refldm_core.face.types import Face, Landmarks5
from refldm_core.face.warping import gaussian_blur
from tests.face.toys import collage, transform_of

HEAD = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.58, 0.38], [-0.43, 1.04, 0.08], [0.43, 1.04, 0.08]])
PORTRAIT = torch.as_tensor(data.astronaut()).movedim(-1, 0).float() / 127.5 - 1.0
PORTRAIT_LOOKS = Landmarks5([[206, 110], [246, 109], [226, 132], [209, 153], [245, 152]])


def test_measured_blur_rises_like_that_of_scikit_image():
    transform = crop_transform(PORTRAIT_LOOKS, (512, 512))
    crops = [align(gaussian_blur(PORTRAIT, sigma), transform) for sigma in (0.0, 0.5, 1.0, 2.0, 4.0)]
    measured = [blur(crop) for crop in crops]
    oracle = [blur_effect(crop.mean(dim=0).numpy()[102:-102, 102:-102]) for crop in crops]
    assert measured == sorted(measured)
    assert np.corrcoef(measured, oracle)[0, 1] > 0.95
    assert measured[0] < ReferenceSettings().max_blur < measured[3]
    assert blur(torch.zeros(3, 512, 512)) == 1


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-45, 0, 10), (0, 20, 0), (0, -20, -30)])
def test_the_pose_of_a_rigid_head_is_recovered(yaw, pitch, roll):
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
    pose = estimate_pose(Landmarks5(100 * (HEAD @ (nod @ turn).T)[:, :2] @ tilt.T + 300))
    np.testing.assert_allclose([pose.yaw, pose.pitch, pose.roll], [yaw, pitch, roll], atol=2)


def test_the_distance_of_poses_ignores_roll():
    assert Pose(0, 0, 0).distance(Pose(0, 0, 90)) == 0
    assert Pose(-20, 0, 0).distance(Pose(10, 0, 0)) == pytest.approx(0.5)
    assert Pose(-90, 0, 0).distance(Pose(90, 0, 0)) == 1


def test_hashes_distinguish_copies_from_other_pictures():
    crop = align(PORTRAIT, crop_transform(PORTRAIT_LOOKS, (512, 512)))
    copy = (torch.nn.functional.interpolate(crop[None], 200, mode="bilinear", antialias=True)[0] * 0.9 + 0.05).clamp(
        -1, 1
    )
    assert hash_distance(perceptual_hash(crop), perceptual_hash(copy)) <= 4
    for different in (crop.flip(-1), collage(512, 512), -crop):
        assert hash_distance(perceptual_hash(crop), perceptual_hash(different)) > 16


def test_the_share_outside_the_photo_lowers_quality():
    transform = transform_of(100, 0, (200, 200), (100.0, 0.0))
    assert inside_share(transform) == pytest.approx(0.5, abs=0.02)
    assert inside_share(transform_of(100, 30, (200, 200))) == 1
    face = Face((150, 50, 250, 150), 0.8, PORTRAIT_LOOKS)
    quality = measure_quality(face, torch.rand(3, 512, 512), transform, 0.9)
    assert (quality.size, quality.confidence, quality.visible) == (100, 0.8, 0.9)
    assert 0 < quality.overall < 0.8 * 0.9 * 0.52
