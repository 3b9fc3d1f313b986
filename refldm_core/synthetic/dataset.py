"""Rendering many people into a folder, in several processes, so that an interrupted run can go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from .conditions import conditions
from .identity import person
from .portrait import LEAST_SIZE, portrait
from .records import VERSION, load, record, save

_STREAM = 0x5DA
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


def picture_seed(seed: int, number: int) -> int:
    """Seed of the conditions of somebody's picture."""
    return int(np.random.SeedSequence([_STREAM, seed, number]).generate_state(1, np.uint32)[0])


def missing(folder: Path, spec: DatasetSpec) -> dict[int, list[int]]:
    """Person's seed -> numbers of the pictures that are not rendered yet.

    Raises:
        SettingsError: the folder holds pictures of another size or of another version of the renderer.
        ImageFileError: it holds other pictures under these names.
    """
    todo: dict[int, list[int]] = {}
    for seed in spec.seeds():
        for number, name in enumerate(spec.names(seed)):
            if not (folder / name).is_file():
                todo.setdefault(seed, []).append(number)
                continue
            contents = load(folder / name)
            if (contents["size"], contents["version"]) != (spec.size, VERSION):
                raise SettingsError(
                    f"{folder / name} has {contents['size']} pixels and is of renderer {contents['version']}.",
                    expected=f"pictures of {spec.size} pixels of renderer {VERSION}, as this run makes them",
                    remedy="choose another folder, or the size of the earlier run",
                )
    return todo


def render_missing(folder: Path, spec: DatasetSpec, workers: int) -> Iterator[int]:
    """Render the pictures that are not there yet.

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
    todo = missing(folder, spec)
    if workers <= 1 or len(todo) <= 1:
        for seed, numbers in todo.items():
            yield _render_person(folder, spec, seed, numbers)
        return
    with _single_threaded():
        # Spawned, since a forked process may hold locks of threads that it does not have.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(todo)), context, initializer=_leave_interrupts_to_the_parent)
        try:
            jobs = [pool.submit(_render_person, folder, spec, seed, numbers) for seed, numbers in todo.items()]
            for job in as_completed(jobs):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _render_person(folder: Path, spec: DatasetSpec, seed: int, numbers: list[int]) -> int:
    somebody, names = person(seed), spec.names(seed)
    for number in numbers:
        own = conditions(picture_seed(seed, number))
        rendered = portrait(somebody, own, spec.size)
        save(folder / names[number], rendered, record(names[number], somebody, own, rendered))
    return len(numbers)


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
