"""Tests of the sample photos: complete, small, and with faces at the landmarks of the index."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from refldm_core import samples
from refldm_core.demo import render_samples, video
from refldm_core.errors import ImageFileError
from refldm_core.face.alignment import crop_transform
from refldm_core.face.types import Landmarks5
from refldm_core.samples import Sample, albums, groups, names
from refldm_core.synthetic import person, scene
from refldm_core.synthetic.layout import Place

ALL_SAMPLES = [*(sample for album in albums().values() for sample in album), *groups()]


def crop_sides(sample: Sample) -> list[float]:
    """Return the sides of the aligned crops of a photo's faces, in pixels of the photo."""
    with Image.open(sample.path) as image:
        size = (image.height, image.width)
    return [1.0 / crop_transform(Landmarks5(points), size, 1).scale for points in sample.landmarks]


def test_there_are_twelve_people_with_four_photos_and_two_groups() -> None:
    assert len(names()) == 12 and list(names()) == sorted(names())
    assert all(len(album) == 4 for album in albums().values())
    assert Counter(name for group in groups() for name in group.people) == Counter(names())
    assert [len(group.people) for group in groups()] == [6, 6]
    people = [person(samples.seed_of(name)) for name in names()]
    assert Counter(individual.gender for individual in people) == {"female": 6, "male": 6}
    assert {name: samples.seed_of(name) for name in names()} == {
        name: seed for name, (seed, _) in render_samples.PEOPLE.items()
    }


def test_all_photos_exist_and_are_small() -> None:
    assert {sample.file for sample in ALL_SAMPLES} == {job.file for job in render_samples.jobs()}
    assert samples.CLIP.is_file()
    assert sum(path.stat().st_size for path in samples.FOLDER.iterdir() if path.suffix != ".py") < 3e6


def detail(picture: NDArray[np.uint8]) -> float:
    """Return the mean change (white is 255) of a picture that is shrunk to a quarter of its size and enlarged again."""
    image = Image.fromarray(picture)
    coarse = image.reduce(4).resize(image.size, Image.Resampling.BILINEAR)
    return float(np.abs(np.asarray(image, float) - np.asarray(coarse, float)).mean())


def test_the_clip_is_a_degraded_video() -> None:
    cv2 = pytest.importorskip("cv2")
    reader = cv2.VideoCapture(str(samples.CLIP))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1])
    assert np.shape(frames) == (video.FRAMES, video.SIDE, video.SIDE, 3)
    assert detail(frames[0]) < 1.2 < detail(ALL_SAMPLES[0].picture())


@pytest.mark.parametrize("sample", ALL_SAMPLES, ids=lambda sample: sample.file)
def test_faces_are_large_enough_and_inside_the_photo(sample: Sample) -> None:
    group = len(sample.people) > 1
    assert all((128 if group else 200) <= side <= (250 if group else 400) for side in crop_sides(sample))
    with Image.open(sample.path) as image:
        least = (1200, 700) if group else (480, 480)
        assert image.width >= least[0] and image.height >= least[1]
        low, high = sample.landmarks.min(axis=(0, 1)), sample.landmarks.max(axis=(0, 1))
        assert (low > 40).all() and (high < np.array(image.size) - 40).all()


@pytest.mark.parametrize("file", ["anna_2.webp", "kim_3.webp"])
def test_the_script_renders_the_shipped_photo(file: str) -> None:
    """A photo of a quarter of the size, which renders in a second, has the same landmarks and the same picture."""
    sample = next(sample for sample in ALL_SAMPLES if sample.file == file)
    (job,) = (job for job in render_samples.jobs() if job.file == file)
    frame = job.frame
    places = [Place((p.x + 0.5) / 4 - 0.5, (p.y + 0.5) / 4 - 0.5, p.scale / 4) for p in frame.places]
    people = [person(samples.seed_of(name)) for name in job.people]
    rendered = scene(people, job.seed, frame.width // 4, frame.height // 4, layout=places)
    np.testing.assert_allclose(4 * (rendered.landmarks + 0.5) - 0.5, sample.landmarks, atol=0.5)
    reduced = np.asarray(Image.fromarray(sample.picture()).reduce(4), float)
    assert np.abs(reduced - rendered.picture).mean() < 8


def test_a_missing_index_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples._index.cache_clear()
    monkeypatch.setattr(samples, "INDEX", tmp_path / "index.json")
    with pytest.raises(ImageFileError, match=r"index\.json cannot be read"):
        names()
    monkeypatch.undo()
    assert names()
