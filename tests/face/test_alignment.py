"""Alignment: geometry compared with scikit-image and OpenCV, and pixels of crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from refldm_core.face.alignment import (
    FFHQ_TEMPLATE,
    align,
    align_faces,
    crop_transform,
    face_from_landmarks,
    robust_similarity,
    similarity,
    template,
)
from refldm_core.face.errors import FaceError
from refldm_core.face.types import CropTransform, Face, Landmarks5, compose, invert, transform_points
from refldm_core.face.warping import gaussian_blur, sample, warp
from tests.face.toys import collage, transform_of

TOLERANCE = 0.01  # pixels

coordinates = st.floats(-2000, 4000, allow_nan=False, width=32)
five_points = st.lists(st.tuples(coordinates, coordinates), min_size=5, max_size=5).map(np.array)


@given(five_points)
@settings(max_examples=60, deadline=None)
def test_similarity_equals_that_of_scikit_image(source):
    assume(np.std(source, axis=0).min() > 10)
    oracle = SimilarityTransform.from_estimate(source, FFHQ_TEMPLATE)
    points = transform_points(similarity(source, FFHQ_TEMPLATE), source)
    assert not np.isnan(oracle.params).any()
    # For mirrored points, the best rotation is ill-defined. Then our error may not be larger than the oracle's.
    error = np.square(points - FFHQ_TEMPLATE).sum()
    assert (
        np.abs(points - oracle(source)).max() < TOLERANCE
        or error <= np.square(oracle(source) - FFHQ_TEMPLATE).sum() + 1e-6
    )


@given(st.floats(0.05, 8), st.floats(-180, 180), st.floats(-500, 3000), st.floats(-500, 3000))
@settings(max_examples=60, deadline=None)
def test_similarity_recovers_any_placement_exactly(scale, degrees, x, y):
    placed = SimilarityTransform(scale=scale, rotation=np.radians(degrees), translation=(x, y))
    landmarks = Landmarks5(placed(FFHQ_TEMPLATE))
    transform = crop_transform(landmarks, (10_000, 10_000))
    assert np.abs(transform_points(transform.crop_from_image, landmarks.points) - FFHQ_TEMPLATE).max() < 1e-6
    assert transform.scale == pytest.approx(1 / scale, rel=1e-9)


@pytest.mark.parametrize("degrees", [0.0, 17.0, 90.0, -143.0])
@pytest.mark.parametrize("side", [300, 512])
def test_pixels_are_where_cv2_warp_affine_puts_them(side, degrees):
    """The picture is a ramp whose values are its coordinates, so that the crop's values are positions."""
    ys, xs = np.mgrid[:600, :700].astype(np.float32)
    transform = transform_of(side, degrees, (600, 700))
    size = (512, 512)
    positions = warp(torch.as_tensor(np.stack([xs, ys])), transform.crop_from_image, size).movedim(0, -1).numpy()
    inside = cv2.warpAffine(np.ones((600, 700), np.float32), transform.crop_from_image, size) == 1.0
    inside = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))).astype(bool)
    pixels = np.stack(np.mgrid[:512, :512][::-1], axis=-1)
    assert np.abs(positions - transform_points(transform.image_from_crop, pixels))[inside].max() < TOLERANCE
    oracle = cv2.warpAffine(np.dstack([xs, ys]), transform.crop_from_image, size, flags=cv2.INTER_LINEAR)
    assert np.abs(positions - oracle)[inside].max() < TOLERANCE + 1 / 64  # OpenCV rounds positions to 1/32 of a pixel
    # The affine map that fits OpenCV's positions best. Its rounding cancels in the fit.
    columns = np.column_stack([pixels[inside], np.ones(inside.sum())])
    fitted = np.linalg.lstsq(columns, oracle[inside].astype(np.float64), rcond=None)[0].T
    corners = [[0, 0], [511, 0], [0, 511], [511, 511]]
    opencv_corners = transform_points(fitted, corners)
    assert np.abs(opencv_corners - transform_points(transform.image_from_crop, corners)).max() < TOLERANCE


@pytest.mark.parametrize("bad", range(5))
@pytest.mark.parametrize("direction", np.linspace(0, 2 * np.pi, 6, endpoint=False))
def test_one_bad_point_is_left_out(bad, direction):
    placed = SimilarityTransform(scale=0.7, rotation=0.4, translation=(300, 90))(FFHQ_TEMPLATE)
    displaced = placed.copy()
    displaced[bad] += 90 * np.array([np.cos(direction), np.sin(direction)])  # the eyes are 88 pixels apart
    matrix, dropped = robust_similarity(displaced, FFHQ_TEMPLATE)
    assert dropped == bad
    remaining = np.arange(5) != bad
    assert np.abs(transform_points(matrix, placed) - FFHQ_TEMPLATE)[remaining].max() < 1e-6


@pytest.mark.parametrize("yaw", [-60, -30, 0, 30, 60])
def test_a_turned_head_loses_no_point(yaw):
    head = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.58, 0.38], [-0.43, 1.04, 0.08], [0.45, 1.04, 0.08]])
    view = np.column_stack([head[:, 0] * np.cos(np.radians(yaw)) + head[:, 2] * np.sin(np.radians(yaw)), head[:, 1]])
    assert robust_similarity(100 * view, FFHQ_TEMPLATE)[1] is None


def test_coincident_and_distant_landmarks_are_refused():
    with pytest.raises(FaceError, match="one point"):
        crop_transform(Landmarks5(np.ones((5, 2))), (100, 100))
    with pytest.raises(FaceError, match="further apart"):
        crop_transform(Landmarks5(FFHQ_TEMPLATE * 1000), (100, 100))
    with pytest.raises(FaceError, match="shape"):
        Landmarks5(np.zeros((4, 2)))


def test_a_small_crop_equals_the_resized_large_crop():
    landmarks = Landmarks5(transform_points(np.array([[0.8, -0.3, 40], [0.3, 0.8, 20.0]]), FFHQ_TEMPLATE))
    large = crop_transform(landmarks, (700, 700))
    small = crop_transform(landmarks, (700, 700), 128)
    np.testing.assert_allclose(small.crop_from_image, large.resized(128).crop_from_image, atol=1e-9)
    np.testing.assert_allclose(small.corners(), large.corners(), atol=1e-9)
    np.testing.assert_allclose(template(512), FFHQ_TEMPLATE)


def test_a_transform_and_its_inverse_cancel():
    transform = transform_of(333, 25, (480, 640))
    product = compose(transform.crop_from_image, transform.image_from_crop)
    np.testing.assert_allclose(product, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    np.testing.assert_allclose(invert(transform.image_from_crop), transform.crop_from_image, atol=1e-9)
    with pytest.raises(FaceError, match="no inverse"):
        CropTransform(np.zeros((2, 3)), 512, (10, 10))


def test_an_upright_crop_of_the_whole_picture_equals_the_picture():
    image = collage(512, 512)
    assert torch.equal(align(image, transform_of(512, 0, (512, 512))), image)
    rotated = align(image, transform_of(512, 90, (512, 512)))
    torch.testing.assert_close(rotated, torch.rot90(image, -1, (1, 2)), atol=1e-5, rtol=0)


def test_shrinking_does_not_alias():
    xs = torch.arange(2048).float()
    stripes = torch.sin(2 * np.pi * xs / 3.1).expand(3, 2048, -1)  # far finer than the crop's pixels
    crop = align(stripes, transform_of(2000, 10, (2048, 2048)))
    assert crop[:, 60:-60, 60:-60].abs().max() < 0.02  # mirroring bends the stripes at the picture's border
    plain = torch.nn.functional.grid_sample(
        stripes[None], torch.rand(1, 64, 64, 2) * 1.8 - 0.9, mode="bicubic", align_corners=True
    )
    assert plain.abs().max() > 0.9  # interpolation alone does alias


def test_shrinking_keeps_detail_that_the_crop_can_show():
    xs = torch.arange(2048).float()
    waves = torch.sin(2 * np.pi * xs / 64).expand(3, 2048, -1)  # the period is 16 pixels of the crop
    crop = align(waves, transform_of(2048, 0, (2048, 2048)))
    assert crop[:, 50:-50, 50:-50].abs().max() > 0.95


@pytest.mark.parametrize("linear", [False, True])
def test_strips_of_a_warp_change_no_bit(monkeypatch, linear):
    """Also channels change nothing: pasting warps several pictures as one."""
    picture = collage(90, 120)
    matrix = np.array([[0.7, -0.2, 5.3], [0.2, 0.7, -8.1]])
    unstripped = sample(picture, matrix, (75, 60), linear=linear)
    monkeypatch.setattr("refldm_core.face.warping.STRIP", 1000)
    assert torch.equal(sample(picture, matrix, (75, 60), linear=linear), unstripped)
    alone = torch.cat([sample(channel[None], matrix, (75, 60), linear=linear) for channel in picture])
    assert torch.equal(alone, unstripped)


def test_the_mirror_image_continues_the_picture_at_any_distance():
    image = collage(60, 50)
    transform = CropTransform(np.array([[1.0, 0, 200], [0, 1.0, 190]]), 512, (60, 50))
    crop = align(image, transform)
    oracle = np.pad(image.numpy(), ((0, 0), (190, 262), (200, 262)), mode="reflect")
    np.testing.assert_allclose(crop.numpy(), oracle, atol=1e-5)


def test_a_batch_may_have_pictures_of_different_sizes():
    images = [collage(300, 400), collage(200, 200)]
    landmarks = Landmarks5(transform_points(np.array([[0.3, 0, 10], [0, 0.3, 20.0]]), FFHQ_TEMPLATE))
    faces, crops = align_faces(
        images, [Face((0, 0, 1, 1), 1.0, landmarks, frame=1), face_from_landmarks(landmarks)], 64
    )
    assert crops.shape == (2, 3, 64, 64)
    assert faces.image_sizes == ((300, 400), (200, 200))
    assert [faces.in_frame(0), faces.in_frame(1)] == [[1], [0]]
    torch.testing.assert_close(crops[1], align(images[0], crop_transform(landmarks, (300, 400), 64)))
    no_faces, no_crops = align_faces(images, [])
    assert len(no_faces) == 0
    assert no_crops.shape == (0, 3, 512, 512)


def test_gaussian_blur_equals_that_of_scipy():
    from scipy.ndimage import gaussian_filter

    image = collage(40, 60)
    oracle = np.stack([gaussian_filter(c, 2.3, mode="mirror", truncate=7 / 2.3) for c in image.numpy()])
    np.testing.assert_allclose(gaussian_blur(image, 2.3).numpy(), oracle, atol=1e-5)
