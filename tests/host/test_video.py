"""Steady landmarks, crops and colors of a video in a running host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from refldm_core.data.degradation import RANGES, degrade, draw
from refldm_core.face.alignment import FFHQ_SIZE, crop_transform, face_from_landmarks
from refldm_core.face.template import FFHQ_TEMPLATE
from refldm_core.face.types import Landmarks5
from refldm_core.images import u8_to_tensor
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.samples import albums
from refldm_core.temporal import STEADY, restore_tracks
from tests.embedded import needs_embedded

from .comfy import PromptError, Server
from .faces import FaceGraph, photo, save_picture
from .graphs import Link, Node, fetch_pictures
from .oracle import assert_same, mean_difference, to_u8

FRAMES = 6


class Clip(NamedTuple):
    """Frames of a still photo with other noise in each.

    Attributes:
        names: File names of the frames.
        face: Rows and columns of the face.
    """

    names: list[str]
    face: tuple[slice, slice]


@pytest.fixture(scope="module")
def clip(base: Path, face_server: Server) -> Iterator[Clip]:
    sample = next(iter(albums().values()))[-1]
    picture, landmarks = sample.picture(), Landmarks5(sample.landmarks[0])
    crop = FFHQ_SIZE / crop_transform(landmarks, (picture.shape[0], picture.shape[1])).scale
    degradation = draw(RANGES["severe"], 1)
    paths = [base / "input" / f"degraded_{frame}.png" for frame in range(FRAMES)]
    for frame, path in enumerate(paths):
        save_picture(degrade(picture, replace(degradation, noise_seed=frame), crop=crop), path)
    left, top = landmarks.points.min(axis=0).astype(int)
    right, bottom = landmarks.points.max(axis=0).astype(int)
    yield Clip([path.name for path in paths], (slice(top, bottom), slice(left, right)))
    for path in paths:
        path.unlink()


def video_graph(
    names: Sequence[str], *, detect: dict[str, Any], sample: dict[str, Any], color_match: str
) -> tuple[FaceGraph, Node, Link]:
    """Return a graph that restores the face in frames with the embedded models, its sampler, and the result."""
    graph = FaceGraph()
    model = graph.load_model("embedded")
    frames = graph.image(*names)
    detection = {"threshold": 0.0, "smallest": 0, "count": 1, "order": "largest", "video": True, "smoothing": 0.5}
    detected = graph.detect(frames, graph.detector("embedded"), **{**detection, **detect})
    restored = graph.sampler(model[0], model[1], detected[1], **{"steps": 2, "faces": detected[0], **sample})
    return graph, restored, graph.paste(frames, detected[0], restored[0], color_match=color_match)[0]


def restored_video(
    server: Server, names: Sequence[str], detect: dict[str, Any], sample: dict[str, Any], color_match: str = "wavelet"
) -> NDArray[np.int64]:
    """Return the frames (n, height, width, 3)."""
    graph, _, end = video_graph(names, detect=detect, sample=sample, color_match=color_match)
    return np.array(fetch_pictures(server, graph, end)[0], dtype=np.int64)


@needs_embedded
def test_a_steadied_video_flickers_less(face_server: Server, clip: Clip) -> None:
    """The photo is still. So all that changes from frame to frame is flicker."""

    def flicker(frames: NDArray[np.int64]) -> float:
        return float(np.abs(np.diff(frames[1:, clip.face[0], clip.face[1]], axis=0)).mean())

    averaging: dict[str, Any] = {"smoothing": 0.0, "averaging": 2.0}
    before = restored_video(face_server, clip.names, {}, {})
    aligned = restored_video(face_server, clip.names, averaging, {})
    steadied = restored_video(face_server, clip.names, averaging, {"steadying": 0.5})
    steady = restored_video(face_server, clip.names, averaging, {"steadying": 0.5}, "steady")
    assert len(steady) == FRAMES
    assert flicker(steady) < flicker(steadied) < flicker(aligned) < flicker(before)
    assert flicker(steady) < 0.6 * flicker(before)
    assert np.array_equal(steady[:, :2], [face_server.picture(input_file(name))[:2] for name in clip.names])


def input_file(name: str) -> dict[str, str]:
    return {"filename": name, "type": "input"}


@needs_embedded
def test_the_new_values_are_off_by_default(face_server: Server, clip: Clip) -> None:
    """A workflow of an earlier version lacks them."""
    missing = restored_video(face_server, clip.names[:3], {}, {})
    face_server.free()
    zero = restored_video(face_server, clip.names[:3], {"averaging": 0.0}, {"steadying": 0.0})
    assert np.array_equal(missing, zero)


def test_the_sampler_steadies_as_the_core_and_in_one_batch(face_server: Server, base: Path, core: Restorer) -> None:
    generator = np.random.default_rng(1)
    with Image.open(base / "input" / "face.png") as picture:
        still = np.asarray(picture.convert("RGB"), dtype=np.float64)
    crops = [(still + generator.normal(size=still.shape) * 12).clip(0, 255).astype(np.uint8) for _ in range(3)]
    names = [f"crop_{i}.png" for i in range(3)]
    for name, crop in zip(names, crops, strict=True):
        save_picture(crop, base / "input" / name)
    graph = FaceGraph()
    model = graph.load_model()
    faces = graph.detect(graph.image(*["one.png"] * 3), video=True)[0]
    restored = graph.sampler(
        model[0], model[1], graph.image(*names), steps=2, cfg=1.0, faces=faces, steadying=STEADY.steadying
    )[0]
    face_server.probe()
    (pictures,) = fetch_pictures(face_server, graph, restored)
    assert face_server.probe()["batches"] == [3, 3]
    landmarks = Landmarks5(FFHQ_TEMPLATE)
    tracked = [replace(face_from_landmarks(landmarks, frame), track=0) for frame in range(3)]
    expected = restore_tracks(
        core,
        u8_to_tensor(torch.from_numpy(np.stack(crops)).movedim(-1, 1)),
        tracked,
        [None] * 3,
        [2024] * 3,
        settings=SamplingSettings(steps=2, guidance=1.0),
        temporal=STEADY,
    )
    for picture, core_result in zip(pictures, expected, strict=True):
        assert_same(picture, to_u8(core_result.unsqueeze(0)))


def test_averaging_steadies_the_landmarks_of_a_video_only(face_server: Server, base: Path) -> None:
    names: list[str] = []
    for i, shift in enumerate((0, 8, 0, 8, 0, 8)):
        names.append(f"trembling_{i}.png")
        save_picture(photo([2], shift=shift), base / "input" / names[-1])

    def positions(**settings: Any) -> NDArray[np.float64]:
        graph = FaceGraph()
        detected = graph.detect(graph.image(*names), **settings)
        graph.add("PreviewAny", source=detected[0])
        entries = face_server.run(graph.api)[detected.number]["refldm_faces"]
        return np.array([entry["faces"][0]["landmarks"][0][0] for entry in entries])

    trembling = positions(video=True)
    assert np.abs(np.diff(trembling)).min() > 6
    assert np.array_equal(positions(video=False, averaging=2.0), trembling)
    averaged = positions(video=True, averaging=2.0)
    assert np.abs(np.diff(averaged)).max() < 2 and averaged.mean() == pytest.approx(trembling.mean(), abs=1)


@pytest.mark.parametrize(
    ("steadying", "has_faces", "video", "message"),
    [
        (0.5, False, True, "steadying is 0.5, but faces is not connected"),
        (0.5, True, False, "steadying is 0.5, but the faces are not followed through a video"),
        (0.96, True, True, "steadying"),
    ],
)
def test_steadying_without_tracks_gives_an_error(
    face_server: Server, steadying: float, has_faces: bool, video: bool, message: str
) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    detected = graph.detect(graph.image("one.png"), video=video)
    faces = {"faces": detected[0]} if has_faces else {}
    graph.save(graph.sampler(model[0], model[1], detected[1], steps=2, steadying=steadying, **faces)[0])
    with pytest.raises(PromptError, match=message):
        face_server.run(graph.api)


def test_steady_colors_of_a_photo_are_those_of_wavelet(face_server: Server) -> None:
    pictures: list[NDArray[np.uint8]] = []
    for color_match in ("wavelet", "steady", "none"):
        graph = FaceGraph()
        image = graph.image("one.png")
        detected = graph.detect(image)
        changed = graph.add("ImageInvert", image=detected[1])
        ((picture,),) = fetch_pictures(
            face_server, graph, graph.paste(image, detected[0], changed[0], color_match=color_match)[0]
        )
        pictures.append(picture)
    wavelet, steady, none = pictures
    # Colors beyond black and white are cut at another stage.
    assert mean_difference(wavelet, steady) < 0.5
    assert mean_difference(wavelet, none) > 10
