"""Alignment and pasting: unchanged pixels, changed pixels, and the seam."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refldm_core.errors import SettingsError
from refldm_core.face.alignment import align
from refldm_core.face.errors import FaceError
from refldm_core.face.masks import crop_shape_mask, region_of
from refldm_core.face.paste import PasteSettings, enlarge, paste_face, paste_faces, pasted_pictures
from refldm_core.face.types import CropTransform, Face, Faces, Landmarks5, transform_points
from refldm_core.face.warping import gaussian_blur
from tests.face.toys import collage, transform_of

PLAIN = PasteSettings(color="none")
PICTURE = collage(900, 1200)
PHOTO = gaussian_blur(PICTURE, 0.8)  # as sharp as a photo of a camera; the collage has edges of one pixel


def psnr(a, b, mask):
    error = (a - b)[:, mask].square().mean()
    return float(10 * torch.log10(4.0 / error.clamp(min=1e-12)))


def faces_of(transforms, sizes, frames=None):
    frames = frames or [0] * len(transforms)
    looks = Landmarks5([[0, 0], [4, 0], [2, 2], [0, 4], [4, 4]])
    return Faces(tuple(Face((0, 0, 9, 9), 1.0, looks, frame) for frame in frames), tuple(transforms), tuple(sizes))


@pytest.mark.parametrize(
    ("side", "color"), [(64, "none"), (256, "none"), (384, "lab"), (512, "wavelet"), (700, "none"), (1024, "wavelet")]
)
def test_an_unchanged_crop_changes_nothing(side, color):
    image = PICTURE if side < 800 else collage(1400, 1500)
    transform = transform_of(side, 11.0, (image.shape[1], image.shape[2]), (3.3, -2.1))
    pasted = paste_face(image, align(image, transform), transform, PasteSettings(color=color))
    assert psnr(pasted.image, image, pasted.mask > 0) >= 45  # the measured value is about 100
    assert torch.equal(pasted.image[:, pasted.mask == 0], image[:, pasted.mask == 0])
    assert float((pasted.mask > 0.99).sum()) > 0.6 * side**2


@pytest.mark.parametrize(("side", "min_psnr"), [(256, 45), (512, 45), (700, 40), (1024, 35)])
def test_without_detail_only_resampling_loses_quality(side, min_psnr):
    """The limit is 45 dB where the crop has at least as many pixels as the face, and lower for larger faces."""
    image = PHOTO if side < 800 else gaussian_blur(collage(1300, 1400), 0.8)
    transform = transform_of(side, 7.0, (image.shape[1], image.shape[2]))
    pasted = paste_face(image, align(image, transform), transform, PasteSettings(color="none", detail="never"))
    assert psnr(pasted.image, image, pasted.mask > 0.999) >= min_psnr


@given(
    side=st.floats(20, 500),
    degrees=st.floats(-180, 180),
    x=st.floats(-400, 400),
    y=st.floats(-300, 300),
    feather=st.floats(0, 0.5),
    blend=st.floats(0, 1),
)
@settings(max_examples=20, deadline=None)
def test_every_placement_keeps_all_pixels_outside_the_mask(*, side, degrees, x, y, feather, blend):
    image = PICTURE[:, :300, :360]
    transform = transform_of(side, degrees, (300, 360), (x, y), crop=128)
    paste_settings = PasteSettings(color="none", feather=feather, blend=blend)
    unchanged = paste_face(image, align(image, transform), transform, paste_settings)
    assert (unchanged.image - image).abs().max() < 2e-3
    noise = paste_face(image, torch.rand(3, 128, 128) * 2 - 1, transform, paste_settings)
    outside = noise.mask == 0
    assert torch.equal(noise.image[:, outside], image[:, outside])
    assert torch.equal(unchanged.mask, noise.mask)
    assert 0 <= float(noise.mask.min()) <= float(noise.mask.max()) <= blend + 1e-6
    assert noise.image.abs().max() <= 1
    # The mask is 0 outside the crop's square.
    points = transform_points(transform.crop_from_image, np.argwhere(~outside.numpy())[:, ::-1])
    assert len(points) == 0 or (points.min() >= -0.5 - 1e-6 and points.max() <= 127.5 + 1e-6)


def test_a_blend_of_zero_changes_no_pixel():
    transform = transform_of(300, 20, (900, 1200))
    pasted = paste_face(PICTURE, torch.ones(3, 512, 512), transform, PasteSettings(blend=0.0))
    assert torch.equal(pasted.image, PICTURE)
    assert not pasted.mask.any()


@pytest.mark.parametrize("feather", [0.02, 0.1, 0.3])
def test_a_constant_color_on_a_gradient_shows_no_step(feather):
    height, width, side = 400, 500, 260
    gradient = torch.linspace(-0.8, 0.6, width).expand(3, height, width) + torch.linspace(0, 0.2, height)[:, None]
    gradient_step = max(float(gradient.diff(dim=2).abs().max()), float(gradient.diff(dim=1).abs().max()))
    transform = transform_of(side, 30, (height, width))
    pasted = paste_face(gradient, torch.full((3, 512, 512), 0.5), transform, PasteSettings(feather, color="none"))
    contrast = float((0.5 - gradient).abs().max())
    max_step = gradient_step + contrast * 1.5 / (feather * side)
    steps = [float(pasted.image.diff(dim=dim).abs().max()) for dim in (1, 2)]
    assert max(steps) <= max_step
    assert float((pasted.image - 0.5).abs()[:, pasted.mask == 1].max()) < 1e-5


def test_a_restored_face_does_not_get_its_noise_back():
    clean = PHOTO
    noisy = (clean + 0.08 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    for side in (256, 700):
        transform = transform_of(side, 7, (900, 1200))
        restored = align(clean, transform)  # the result of a perfect restorer
        result = {
            detail: paste_face(noisy, restored, transform, PasteSettings(color="none", detail=detail))
            for detail in ("unchanged", "always", "never")
        }
        inside = result["never"].mask > 0.999
        quality = {detail: psnr(r.image, clean, inside) for detail, r in result.items()}
        assert quality["unchanged"] > quality["always"] + 3
        assert abs(quality["unchanged"] - quality["never"]) < 0.3


def test_a_sharp_large_face_keeps_detail_where_the_restorer_changed_nothing():
    transform = transform_of(800, 0, (900, 1200))
    restored = align(PICTURE, transform)
    restored[:, :, 256:] = gaussian_blur(restored, 6.0)[:, :, 256:]  # the restorer changed the right half
    pasted = paste_face(PICTURE, restored, transform, PLAIN)
    left = torch.zeros(900, 1200, dtype=torch.bool)
    left[200:700, 300:550] = True
    assert psnr(pasted.image, PICTURE, left) > 60


def test_crops_of_all_sizes_are_pasted_at_the_same_place():
    transform = transform_of(300, 15, (900, 1200))
    smooth = gaussian_blur(PICTURE, 12.0)
    for size in (256, 512, 1024):
        crop = align(smooth, transform.resized(size))
        pasted = paste_face(PICTURE, crop, transform, PasteSettings(color="none", detail="never"))
        assert psnr(pasted.image, smooth, pasted.mask > 0.999) > 45


def test_upscaling_keeps_new_detail_and_the_rest_of_the_picture():
    image = gaussian_blur(PICTURE, 1.5)[:, :400, :500]
    transform = transform_of(160, 10, (400, 500))
    sharp = enlarge(PICTURE[:, :400, :500], 2.0)
    restored = align(sharp, transform.for_image((800, 1000)))
    pasted = paste_face(image, restored, transform, PasteSettings(color="none", upscale=2.0))
    assert pasted.image.shape == (3, 800, 1000)
    inside = pasted.mask > 0.999
    assert torch.equal(pasted.image[:, pasted.mask == 0], enlarge(image, 2.0)[:, pasted.mask == 0])
    small = paste_face(image, restored, transform, PLAIN)
    assert psnr(pasted.image, sharp, inside) > psnr(enlarge(small.image, 2.0), sharp, inside) + 3


def test_an_enlarged_picture_is_accepted_and_another_aspect_ratio_is_refused():
    image = PICTURE[:, :400, :500]
    transform = transform_of(160, 10, (400, 500))
    crop = align(image, transform)
    enlarged = torch.nn.functional.interpolate(image[None], (1200, 1500), mode="nearest")[0]
    pasted = paste_face(enlarged, crop, transform, PLAIN)
    assert pasted.image.shape == (3, 1200, 1500)
    assert torch.equal(pasted.image[:, pasted.mask == 0], enlarged[:, pasted.mask == 0])
    assert psnr(pasted.image, enlarge(image, 3.0), pasted.mask > 0.999) > 25
    with pytest.raises(FaceError, match="500x400 pixels, but this picture has 500x300"):
        paste_face(image[:, :300], crop, transform)


def test_masks_of_parser_and_user_limit_the_change():
    transform = transform_of(300, 0, (900, 1200))
    faces = faces_of([transform], [(900, 1200)])
    crops = torch.ones(1, 3, 512, 512)
    crop_mask = torch.zeros(64, 64)
    crop_mask[:, :32] = 1
    image_mask = torch.zeros(900, 1200)
    image_mask[:450] = 1
    masks = {"crop_masks": [crop_mask], "image_masks": [image_mask]}
    (pasted,) = paste_faces([PICTURE], faces, crops, PasteSettings(0.02), **masks)
    assert float(pasted.mask[400, 520]) == pytest.approx(1, abs=1e-3)
    assert not pasted.mask[450:].any()
    assert not pasted.mask[:, 640:].any()
    assert torch.equal(pasted.image[:, 450:], PICTURE[:, 450:])


def test_faces_are_pasted_into_their_pictures_with_later_faces_on_top():
    images = [PICTURE[:, :300, :400], PICTURE[:, :200, :300]]
    sizes = [(300, 400), (200, 300)]
    transforms = [transform_of(100, 0, sizes[0]), transform_of(80, 0, sizes[1]), transform_of(60, 0, sizes[0])]
    colors = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 64, 64)
    results = paste_faces(images, faces_of(transforms, sizes, [0, 1, 0]), colors, PLAIN)
    assert float(results[0].image[0, 150, 200]) == 1
    assert float(results[0].image[0, 150, 161]) == -1
    assert float(results[1].image[0, 100, 150]) == 0
    assert results[0].mask.shape == (300, 400)


def test_pictures_without_faces_are_returned_unchanged():
    (pasted,) = paste_faces([PICTURE], faces_of([], [(900, 1200)]), torch.zeros(0, 3, 512, 512))
    assert torch.equal(pasted.image, PICTURE)
    assert not pasted.mask.any()


def test_faces_partly_and_completely_outside_the_picture_are_pasted():
    for shift, covered in (((600, 0), True), ((2000, 0), False)):
        transform = transform_of(300, 25, (900, 1200), shift)
        crop = align(PICTURE, transform)
        pasted = paste_face(PICTURE, crop, transform)
        assert bool(pasted.mask.any()) is covered
        assert (pasted.image - PICTURE).abs().max() < 2e-3
        white = paste_face(PICTURE, torch.ones(3, 512, 512), transform, PLAIN)
        assert bool((white.image[0, 450, 1150:] == 1).any()) is covered


def test_the_time_for_a_hundred_faces_grows_with_their_area_only():
    places = [(40 + 105 * (i % 11) - 560, 40 + 80 * (i // 11) - 400) for i in range(100)]
    transforms = [transform_of(70, 3.0 * i, (900, 1200), place, crop=128) for i, place in enumerate(places)]
    crops = torch.stack([1 - (align(PICTURE, t) + 1) for t in transforms])
    start = time.perf_counter()
    (pasted,) = paste_faces([PICTURE], faces_of(transforms, [(900, 1200)]), crops)
    assert time.perf_counter() - start < 15  # about 2 s on an idle machine
    for t in transforms:
        x, y = (round(v) for v in transform_points(t.image_from_crop, [63.5, 63.5]))
        assert float(pasted.mask[y, x]) == pytest.approx(1, abs=1e-4)
        assert not torch.equal(pasted.image[:, y - 5 : y + 5, x - 5 : x + 5], PICTURE[:, y - 5 : y + 5, x - 5 : x + 5])


def test_numbers_that_do_not_fit_together_are_refused_by_name():
    transform = transform_of(300, 0, (900, 1200))
    faces = faces_of([transform], [(900, 1200)])
    with pytest.raises(FaceError, match="2 restored crops for 1 faces"):
        paste_faces([PICTURE], faces, torch.zeros(2, 3, 64, 64))
    with pytest.raises(FaceError, match="2 pictures for 1 pictures with which"):
        paste_faces([PICTURE, PICTURE], faces, torch.zeros(1, 3, 64, 64))
    with pytest.raises(SettingsError, match=r"feather 0\.7"):
        PasteSettings(feather=0.7)
    with pytest.raises(SettingsError, match=r"upscale 0\.5"):
        PasteSettings(upscale=0.5)


def test_the_mask_without_feather_is_the_crops_square():
    transform = CropTransform(np.array([[1.0, 0, -10], [0, 1.0, -20]]), 50, (100, 100))
    region = region_of(transform)
    assert region is not None
    mask = torch.zeros(100, 100)
    mask[region[1] : region[3], region[0] : region[2]] = crop_shape_mask(transform, region, 0.0)
    expected = torch.zeros(100, 100)
    expected[20:70, 10:60] = 1
    assert torch.equal(mask, expected)


def test_a_video_is_pasted_frame_by_frame():
    """The result of one frame is complete before the next frame is looked at."""
    transform = transform_of(200, 0.0, (300, 300))
    frames = [PICTURE[:, :300, i : i + 300] for i in range(3)]
    faces = faces_of([transform] * 3, [(300, 300)] * 3, frames=[0, 1, 2])
    crops = torch.linspace(-1, 1, 3)[:, None, None, None].expand(3, 3, 64, 64)
    read = []

    class Frames(list):
        def __iter__(self):
            for i, frame in enumerate(frames):
                read.append(i)
                yield frame

    results = pasted_pictures(Frames(frames), faces, crops, PLAIN)
    for i, expected in enumerate(paste_faces(frames, faces, crops, PLAIN)):
        result = next(results)
        assert read == list(range(i + 1))
        assert torch.equal(result.image, expected.image) and torch.equal(result.mask, expected.mask)
    assert next(results, None) is None
