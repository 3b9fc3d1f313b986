"""Temporal restoration of tracks: what equals the plain restoration, and what depends on the frames before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from refldm_core.errors import OutOfRangeError
from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.template import FFHQ_TEMPLATE
from refldm_core.face.types import Face, Landmarks5
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.temporal import (
    FRAME_BY_FRAME,
    TemporalSettings,
    restore_tracks,
    segments,
    shortened,
    steady_crops,
    with_steady_colors,
)

FOUR_STEPS = SamplingSettings(steps=4, sampler="dpmpp_2m", guidance=1.0)
MODES = {
    "steadying": TemporalSettings(steadying=0.8),
    "previous latent": TemporalSettings(strength=0.5),
    "smoothing": TemporalSettings(smoothing=0.8),
    "all": TemporalSettings(0.5, 0.5, 0.5),
}


def face(frame: int, track: int | None = 0) -> Face:
    detected = face_from_landmarks(Landmarks5(FFHQ_TEMPLATE), frame)
    return Face(detected.box, 1.0, detected.landmarks, frame, track=track)


def noisy(picture: Tensor, count: int, sigma: float = 0.05) -> Tensor:
    """Return frames of one picture (3, size, size) with noise of `sigma` * 127.5 gray levels."""
    generator = torch.Generator().manual_seed(0)
    return (picture + sigma * torch.randn(count, *picture.shape, generator=generator)).clamp(-1.0, 1.0)


def restore(
    restorer: Restorer,
    crops: Tensor,
    temporal: TemporalSettings,
    faces: list[Face] | None = None,
    *,
    seeds: list[int] | None = None,
    batch: int = 8,
) -> Tensor:
    faces = faces or [face(frame) for frame in range(len(crops))]
    seeds = seeds or [3] * len(crops)
    references = [None] * len(crops)
    return restore_tracks(
        restorer, crops, faces, references, seeds, settings=FOUR_STEPS, temporal=temporal, batch=batch
    )


def plain(restorer: Restorer, crops: Tensor, seeds: list[int] | None = None) -> Tensor:
    return restorer.restore(crops, None, seeds or [3] * len(crops), FOUR_STEPS)


def assert_equal(first: Tensor, second: Tensor) -> None:
    """Batches of another size round differently, by a few hundredths of a gray level."""
    assert float((first - second).abs().max()) < 1e-3


@pytest.fixture
def crops(reference_images: Tensor) -> Tensor:
    return noisy(reference_images[0], 3)


def test_without_any_weight_frames_are_restored_by_themselves(restorer: Restorer, crops: Tensor) -> None:
    """The noise is the same in all frames, because the seeds are."""
    assert_equal(restore(restorer, crops, FRAME_BY_FRAME), plain(restorer, crops))


@pytest.mark.parametrize("temporal", MODES.values(), ids=MODES)
def test_the_first_frame_is_restored_by_itself_and_others_are_not(
    restorer: Restorer, crops: Tensor, temporal: TemporalSettings
) -> None:
    result, expected = restore(restorer, crops, temporal), plain(restorer, crops)
    assert_equal(result[0], expected[0])
    assert all(float((result[i] - expected[i]).abs().max()) > 1e-2 for i in (1, 2))


@pytest.mark.parametrize(("kind", "name"), [*(("cut", name) for name in MODES), ("gap", "all"), ("other track", "all")])
def test_a_cut_a_gap_and_another_track_begin_afresh(
    restorer: Restorer, reference_images: Tensor, kind: str, name: str
) -> None:
    crops = torch.cat([noisy(reference_images[0], 2), noisy(reference_images[1 if kind == "cut" else 0], 2)])
    frames = [0, 1, 2, 3] if kind != "gap" else [0, 1, 5, 6]
    faces = [face(frame, int(kind == "other track" and i > 1)) for i, frame in enumerate(frames)]
    result, expected = restore(restorer, crops, MODES[name], faces), plain(restorer, crops)
    assert_equal(result[[0, 2]], expected[[0, 2]])
    assert all(float((result[i] - expected[i]).abs().max()) > 1e-2 for i in (1, 3))


@pytest.mark.parametrize(("name", "batch"), [*((name, 3) for name in MODES), ("all", 1)])
def test_tracks_and_batches_are_independent(
    restorer: Restorer, reference_images: Tensor, name: str, batch: int
) -> None:
    """Two people whose faces alternate are restored as each of them alone."""
    temporal = MODES[name]
    first, second = noisy(reference_images[0], 3), noisy(reference_images[1], 2)
    crops = torch.stack([first[0], second[0], first[1], second[1], first[2]])
    faces = [face(0, 0), face(0, 1), face(1, 0), face(1, 1), face(2, 0)]
    result = restore(restorer, crops, temporal, faces, seeds=[3, 4, 3, 4, 3], batch=batch)
    assert_equal(result[[0, 2, 4]], restore(restorer, first, temporal))
    assert_equal(result[[1, 3]], restore(restorer, second, temporal, seeds=[4, 4]))


def test_steadying_restores_the_steady_crops(restorer: Restorer, crops: Tensor) -> None:
    faces = [face(frame) for frame in range(3)]
    steady = steady_crops(crops, faces, MODES["steadying"])
    assert_equal(restore(restorer, crops, MODES["steadying"], faces), plain(restorer, steady))


def test_steady_crops_depend_on_earlier_crops_of_their_track_only(reference_images: Tensor) -> None:
    crops = noisy(reference_images[0], 5)
    before = crops.clone()
    faces = [face(0), face(0, None), face(0, 1), face(1), face(2)]
    steady = steady_crops(crops, faces)
    assert torch.equal(crops, before)
    assert torch.equal(steady[:3], crops[:3])  # the first frame, a photo, and the first frame of another track
    assert torch.equal(steady[3], steady_crops(crops[[0, 3]], [face(0), face(1)])[1])
    still = reference_images[0]
    errors = (steady - still).square().mean(dim=(1, 2, 3))
    assert errors[4] < errors[3] < 0.8 * errors[0]
    unchanged = steady_crops(crops, faces, FRAME_BY_FRAME)
    assert torch.equal(unchanged, crops) and unchanged.data_ptr() != crops.data_ptr()
    assert len(steady_crops(crops[:0], [])) == 0


def test_faces_without_a_track_are_restored_by_themselves(restorer: Restorer, crops: Tensor) -> None:
    faces = [face(frame, None) for frame in range(3)]
    assert_equal(restore(restorer, crops, MODES["all"], faces), plain(restorer, crops))


@pytest.mark.parametrize("name", ["steadying", "smoothing", "all"])
def test_averages_make_a_still_face_steadier(restorer: Restorer, reference_images: Tensor, name: str) -> None:
    crops = noisy(reference_images[0], 5)

    def flicker(temporal: TemporalSettings) -> float:
        return float(restore(restorer, crops, temporal)[1:].diff(dim=0).square().mean())

    assert flicker(MODES[name]) < 0.7 * flicker(FRAME_BY_FRAME)


def test_averages_give_way_where_the_face_moves(reference_images: Tensor) -> None:
    """The lowest quarter of the last frame turns dark. There the past counts nothing; at the top it does."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 3, 8, 8, generator=generator)
    crops = 0.5 * reference_images[:1] + 0.05 * torch.nn.functional.interpolate(noise, reference_images.shape[-2:])
    size = crops.shape[-1]
    crops[2, :, -size // 4 :] -= 0.4
    black = torch.zeros_like(crops)
    averaged = with_steady_colors(black, crops, [face(0), face(1), face(1, 1)])  # the last frame is of another track
    tracked = with_steady_colors(black, crops, [face(frame) for frame in range(3)])
    assert torch.equal(tracked[:2], averaged[:2])
    change = (tracked[2] - averaged[2]).abs()
    assert float(change[:, : size // 4].mean()) > 0.005
    assert float(change[:, -size // 8 :].mean()) < 0.1 * float(change[:, : size // 4].mean())


def test_segments_are_parts_of_tracks(reference_images: Tensor) -> None:
    crops = torch.cat([noisy(reference_images[0], 3), noisy(reference_images[1], 3)])
    faces = [face(0), face(1), face(2), face(3), face(3, 1), face(4, None)]
    assert sorted(segments(crops, faces, 20.0)) == [[0, 1, 2], [3], [4], [5]]
    assert sorted(segments(crops, faces, 255.0)) == [[0, 1, 2, 3], [4], [5]]
    assert segments(crops[:0], [], 20.0) == []


def test_the_start_from_the_previous_latent_saves_steps(restorer: Restorer, crops: Tensor) -> None:
    sizes: list[int] = []
    hook = restorer.unet.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    try:
        restore(restorer, crops, TemporalSettings(strength=0.75))
    finally:
        hook.remove()
    assert sizes == [1, 1, 1, 1, 1, 1]  # four steps of the first frame, and one of every other
    assert shortened(SamplingSettings(steps=20, strength=0.8), 0.5) == SamplingSettings(steps=10, strength=0.4)


def test_no_crop_and_strength_0_give_the_crops(restorer: Restorer, crops: Tensor) -> None:
    assert len(restore(restorer, crops[:0], MODES["all"], [])) == 0
    faces = [face(frame) for frame in range(3)]
    settings = SamplingSettings(strength=0.0)
    assert torch.equal(restore_tracks(restorer, crops, faces, [None] * 3, [1] * 3, settings=settings), crops)


def test_steady_colors_are_those_of_averaged_crops(reference_images: Tensor) -> None:
    """Coarse noise of the frames is averaged in the colors. The detail of the restored crops stays."""
    generator = torch.Generator().manual_seed(1)
    still = 0.5 * reference_images[:1]
    crops = (still + 0.03 * torch.randn(6, 3, 1, 1, generator=generator)).clamp(-1.0, 1.0)
    detail = 0.1 * torch.randn(still.shape, generator=generator)
    colored = with_steady_colors((still + detail).repeat(6, 1, 1, 1), crops, [face(frame) for frame in range(6)])
    assert colored.mean(dim=(2, 3))[2:].std(dim=0).mean() < 0.6 * crops.mean(dim=(2, 3))[2:].std(dim=0).mean()
    assert colored.mean() == pytest.approx(float(crops.mean()), abs=0.1)
    assert torch.allclose(colored[0].diff(), (still + detail)[0].diff(), atol=0.05)
    assert len(with_steady_colors(crops[:0], crops[:0], [])) == 0
    one_by_one = with_steady_colors(list(crops), crops, [face(frame) for frame in range(6)])
    assert torch.equal(one_by_one, with_steady_colors(crops, crops, [face(frame) for frame in range(6)]))


@pytest.mark.parametrize("name", ["steadying", "strength", "smoothing"])
def test_a_weight_of_1_is_refused(name: str) -> None:
    with pytest.raises(OutOfRangeError, match=name):
        TemporalSettings(**{name: 1.0})
