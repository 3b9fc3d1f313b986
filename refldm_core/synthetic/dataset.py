"""Render many pictures into a folder, in several processes. An interrupted run can be continued.

A dataset holds portraits of people (`DatasetSpec`) or scenes, which are pictures of groups (`SceneSetSpec`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import SettingsError
from .arrays import generator
from .conditions import conditions
from .identity import person
from .portrait import LEAST_SIZE, Portrait, portrait
from .records import VERSION, portrait_record, require_record, save_picture, scene_record
from .scene import scene

Job = TypeVar("Job")

_STREAM = 0x5DA
_SCENE_STREAM = 0x5DB
_LEAST_SCENE = 128
_EMPTY_SHARE = 0.08
"""Share of scenes without people. A detector learns from them what is not a face."""
_SCATTERED_SHARE = 0.6
"""Share of scenes with the layout "scattered", which has faces of very different sizes."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class DatasetSpec:
    """Portraits to render.

    Attributes:
        people: number of people.
        pictures: number of pictures of each person.
        size: pixels along each side.
        first_person: seed of the first person. The other people have the seeds that follow.

    Raises:
        SettingsError: a number is too small.
    """

    people: int
    pictures: int
    size: int
    first_person: int = 0

    def __post_init__(self) -> None:
        if self.people < 1 or self.pictures < 1 or self.size < LEAST_SIZE or self.first_person < 0:
            raise SettingsError(
                f"{self.people} people with {self.pictures} pictures of {self.size} pixels, the first with seed "
                f"{self.first_person}, make no dataset.",
                expected=f"at least one person, one picture, {LEAST_SIZE} pixels, and a seed of 0 or more",
                remedy="choose larger numbers",
            )

    def seeds(self) -> range:
        """Return the seeds of the people."""
        return range(self.first_person, self.first_person + self.people)

    def names(self, seed: int) -> list[str]:
        """Return the file names of one person's pictures."""
        return [f"{seed:06d}_{k:03d}.png" for k in range(self.pictures)]

    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each picture with all other pictures of its person, which are its references."""
        people = [self.names(seed) for seed in self.seeds()]
        return [(target, tuple(name for name in names if name != target)) for names in people for target in names]


def picture_seed(seed: int, number: int) -> int:
    """Return the seed of the conditions of one picture of a person.

    Args:
        seed: seed of the person.
        number: number of the picture, from 0.
    """
    return int(np.random.SeedSequence([_STREAM, seed, number]).generate_state(1, np.uint32)[0])


def numbered_portrait(seed: int, number: int, size: int) -> Portrait:
    """Render one picture of a person, the same as in a dataset.

    Args:
        seed: seed of the person.
        number: number of the picture, from 0.
        size: pixels along each side.
    """
    return portrait(person(seed), conditions(picture_seed(seed, number)), size)


def missing_pictures(folder: Path, spec: DatasetSpec) -> dict[int, list[int]]:
    """Return seed of a person -> numbers of the pictures that are not rendered yet.

    Raises:
        SettingsError: the folder holds pictures of another size or of another version of the renderer.
        ImageFileError: the folder holds pictures of these names that the renderer did not write.
    """
    todo: dict[int, list[int]] = {}
    for seed in spec.seeds():
        for number, name in enumerate(spec.names(seed)):
            if not _is_rendered(folder / name, spec.size):
                todo.setdefault(seed, []).append(number)
    return todo


def render_missing(folder: Path, spec: DatasetSpec, workers: int) -> Iterator[int]:
    """Render the portraits that are missing.

    Args:
        folder: existing folder of the pictures.
        spec: portraits to render.
        workers: number of processes. 1 renders in the calling process.

    Yields:
        The number of pictures that were rendered, after each person.

    Raises:
        SettingsError, ImageFileError: see `missing_pictures`.
        OutputError: a picture cannot be written.
    """
    jobs = [(folder, spec, seed, numbers) for seed, numbers in missing_pictures(folder, spec).items()]
    yield from _run_in_processes(_render_person, jobs, workers)


@dataclass(frozen=True)
class SceneSetSpec:
    """Scenes to render.

    Attributes:
        scenes: number of scenes.
        people: number of people. Their seeds are `first_person` and those that follow. Each scene shows a random part
            of them; about one scene in twelve shows nobody.
        size: pixels along each side.
        most_faces: largest number of faces in one scene, 1 to 20.
        first_person: seed of the first person. It is also a part of the seed of each scene.

    Raises:
        SettingsError: a number is outside its range.
    """

    scenes: int
    people: int
    size: int
    most_faces: int = 6
    first_person: int = 0

    def __post_init__(self) -> None:
        numbers = (self.scenes, self.people, self.most_faces)
        if min(numbers) < 1 or self.most_faces > 20 or self.size < _LEAST_SCENE or self.first_person < 0:
            raise SettingsError(
                f"{self.scenes} scenes of {self.size} pixels with up to {self.most_faces} of {self.people} people, the "
                f"first with seed {self.first_person}, make no dataset.",
                expected=f"at least one scene and one person, 1 to 20 faces, {_LEAST_SCENE} pixels, and a seed of 0 or "
                "more",
                remedy="choose other numbers",
            )

    def names(self) -> list[str]:
        """Return the file names of the scenes."""
        return [f"scene_{self.first_person:06d}_{number:05d}.png" for number in range(self.scenes)]


def render_missing_scenes(folder: Path, spec: SceneSetSpec, workers: int) -> Iterator[int]:
    """Render the scenes that are missing.

    Args:
        folder: existing folder of the pictures.
        spec: scenes to render.
        workers: number of processes. 1 renders in the calling process.

    Yields:
        1 after each scene.

    Raises:
        SettingsError: the folder holds scenes of another size or of another version of the renderer.
        ImageFileError: the folder holds pictures of these names that the renderer did not write.
        OutputError: a picture cannot be written.
    """
    jobs = [
        (folder / name, spec, number)
        for number, name in enumerate(spec.names())
        if not _is_rendered(folder / name, spec.size)
    ]
    yield from _run_in_processes(_render_scene, jobs, workers)


def _is_rendered(path: Path, size: int) -> bool:
    if not path.is_file():
        return False
    record = require_record(path)
    if (record["size"], record["version"]) != (size, VERSION):
        raise SettingsError(
            f"{path} has {record['size']} pixels and is of version {record['version']} of the renderer.",
            expected=f"pictures of {size} pixels and of version {VERSION}, as this run renders them",
            remedy="choose another folder, or the size of the earlier run",
        )
    return True


def _render_person(job: tuple[Path, DatasetSpec, int, list[int]]) -> int:
    folder, spec, seed, numbers = job
    subject, names = person(seed), spec.names(seed)
    for number in numbers:
        circumstances = conditions(picture_seed(seed, number))
        rendered = portrait(subject, circumstances, spec.size)
        record = portrait_record(names[number], subject, circumstances, rendered)
        save_picture(folder / names[number], rendered.picture, record)
    return len(numbers)


def _render_scene(job: tuple[Path, SceneSetSpec, int]) -> int:
    path, spec, number = job
    rng = generator(_SCENE_STREAM, spec.first_person, number)
    count = 0 if rng.random() < _EMPTY_SHARE else int(rng.integers(1, min(spec.most_faces, spec.people) + 1))
    seeds = [spec.first_person + int(i) for i in rng.choice(spec.people, count, replace=False)]
    layout = "scattered" if rng.random() < _SCATTERED_SHARE else "rows"
    rendered = scene([person(s) for s in seeds], int(rng.integers(2**31)), spec.size, spec.size, layout=layout)
    save_picture(path, rendered.picture, scene_record(path.name, seeds, rendered))
    return 1


def _run_in_processes(function: Callable[[Job], int], jobs: Sequence[Job], workers: int) -> Iterator[int]:
    """Yield the result of the function for each job, in the order in which the jobs finish.

    With one worker, the jobs run in the calling process.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from map(function, jobs)
        return
    with _single_threaded():
        # A forked process could inherit locks that threads of this process hold, and wait for them forever.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_ignore_interrupts)
        try:
            submitted = [pool.submit(function, job) for job in jobs]
            for job in as_completed(submitted):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _single_threaded() -> Generator[None, None, None]:
    """Let processes that start in this context use one thread each. The calling process does not change."""
    earlier = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in earlier.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
