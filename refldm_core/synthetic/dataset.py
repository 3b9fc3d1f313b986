"""Rendering many pictures into a folder, in several processes, so that an interrupted run can go on.

A dataset holds portraits of people (`DatasetSpec`) or pictures of groups (`SceneSetSpec`).
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
from .records import VERSION, load, record, save, scene_record
from .scene import scene

Job = TypeVar("Job")

_STREAM = 0x5DA
_SCENE_STREAM = 0x5DB
_LEAST_SCENE = 128
_NOBODY = 0.08
"""Share of the scenes without people: a detector learns from them what is no face."""
_SCATTERED = 0.6
"""Share of the scenes with faces of very different sizes."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class DatasetSpec:
    """What to render.

    Attributes:
        people: how many.
        pictures: of each.
        size: pixels along each side.
        first_person: seed of the first person; the others follow. Other seeds are other people.

    Raises:
        SettingsError: numbers that make no dataset.
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
        """Of the people."""
        return range(self.first_person, self.first_person + self.people)

    def names(self, seed: int) -> list[str]:
        """Files of one person's pictures."""
        return [f"{seed:06d}_{k:03d}.png" for k in range(self.pictures)]

    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each picture with its person's other pictures, which are its references."""
        return [(name, tuple(n for n in self.names(s) if n != name)) for s in self.seeds() for name in self.names(s)]


def picture_seed(seed: int, number: int) -> int:
    """Seed of the conditions of somebody's picture."""
    return int(np.random.SeedSequence([_STREAM, seed, number]).generate_state(1, np.uint32)[0])


def numbered_portrait(seed: int, number: int, size: int) -> Portrait:
    """Picture number `number` of a person, as a dataset holds it.

    Args:
        seed: of the person.
        number: of the picture, from 0.
        size: pixels along each side.
    """
    return portrait(person(seed), conditions(picture_seed(seed, number)), size)


def missing(folder: Path, spec: DatasetSpec) -> dict[int, list[int]]:
    """Person's seed -> numbers of the pictures that are not rendered yet.

    Raises:
        SettingsError: the folder holds pictures of another size or of another version of the renderer.
        ImageFileError: it holds other pictures under these names.
    """
    todo: dict[int, list[int]] = {}
    for seed in spec.seeds():
        for number, name in enumerate(spec.names(seed)):
            if not _is_rendered(folder / name, spec.size):
                todo.setdefault(seed, []).append(number)
    return todo


def render_missing(folder: Path, spec: DatasetSpec, workers: int) -> Iterator[int]:
    """Render the portraits that are not there yet.

    Args:
        folder: of the pictures; exists.
        spec: what to render.
        workers: processes; 1 renders in this one.

    Yields:
        After each person, how many pictures were rendered.

    Raises:
        SettingsError, ImageFileError: as `missing`.
        OutputError: a picture cannot be written.
    """
    jobs = [(folder, spec, seed, numbers) for seed, numbers in missing(folder, spec).items()]
    yield from _in_processes(_render_person, jobs, workers)


@dataclass(frozen=True)
class SceneSetSpec:
    """Which pictures of groups to render.

    Attributes:
        scenes: how many.
        people: whose seeds are `first_person` and those that follow; each scene shows some of them.
        most_faces: in one scene; one scene in twelve shows nobody.
        size: pixels along each side.
        first_person: seed of the first person, and of the scenes.

    Raises:
        SettingsError: numbers that make no dataset.
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
        """Files of the scenes."""
        return [f"scene_{self.first_person:06d}_{number:05d}.png" for number in range(self.scenes)]


def render_missing_scenes(folder: Path, spec: SceneSetSpec, workers: int) -> Iterator[int]:
    """Render the scenes that are not there yet.

    Args:
        folder: of the pictures; exists.
        spec: what to render.
        workers: processes; 1 renders in this one.

    Yields:
        After each scene, 1.

    Raises:
        SettingsError: the folder holds scenes of another size or of another version of the renderer.
        ImageFileError: it holds other pictures under these names.
        OutputError: a picture cannot be written.
    """
    jobs = [
        (folder / name, spec, number)
        for number, name in enumerate(spec.names())
        if not _is_rendered(folder / name, spec.size)
    ]
    yield from _in_processes(_render_scene, jobs, workers)


def _is_rendered(path: Path, size: int) -> bool:
    if not path.is_file():
        return False
    contents = load(path)
    if (contents["size"], contents["version"]) != (size, VERSION):
        raise SettingsError(
            f"{path} has {contents['size']} pixels and is of renderer {contents['version']}.",
            expected=f"pictures of {size} pixels of renderer {VERSION}, as this run makes them",
            remedy="choose another folder, or the size of the earlier run",
        )
    return True


def _render_person(job: tuple[Path, DatasetSpec, int, list[int]]) -> int:
    folder, spec, seed, numbers = job
    somebody, names = person(seed), spec.names(seed)
    for number in numbers:
        own = conditions(picture_seed(seed, number))
        rendered = portrait(somebody, own, spec.size)
        save(folder / names[number], rendered.picture, record(names[number], somebody, own, rendered))
    return len(numbers)


def _render_scene(job: tuple[Path, SceneSetSpec, int]) -> int:
    path, spec, number = job
    rng = generator(_SCENE_STREAM, spec.first_person, number)
    count = 0 if rng.random() < _NOBODY else int(rng.integers(1, min(spec.most_faces, spec.people) + 1))
    seeds = [spec.first_person + int(i) for i in rng.choice(spec.people, count, replace=False)]
    layout = "scattered" if rng.random() < _SCATTERED else "rows"
    rendered = scene([person(s) for s in seeds], int(rng.integers(2**31)), spec.size, spec.size, layout=layout)
    save(path, rendered.picture, scene_record(path.name, seeds, rendered))
    return 1


def _in_processes(function: Callable[[Job], int], jobs: Sequence[Job], workers: int) -> Iterator[int]:
    """The function's answer to each job, in the order in which they come; one worker means this process."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(function, jobs)
        return
    with _single_threaded():
        # Spawned, since a forked process may hold locks of threads that it does not have.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_leave_interrupts_to_the_parent)
        try:
            submitted = [pool.submit(function, job) for job in jobs]
            for job in as_completed(submitted):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _single_threaded() -> Generator[None, None, None]:
    """Processes that are started meanwhile use one thread each; this one is as before."""
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
