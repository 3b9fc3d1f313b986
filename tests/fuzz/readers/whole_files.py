"""Readers of whole files, whose cases are damaged copies of seed files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..cases import Action, Case, Reader, require
from ..mutation import cut, mutate, with_png_checksums

_CUT_SHARE = 0.15
"""Share of the cases in which only the end of the file is missing."""


def damaged_file(case: Case, seeds: list[Path]) -> tuple[Path, Path, bool]:
    """Write a damaged copy of a seed file.

    Returns:
        The copy, the seed file, and whether only the end of the file is missing.
    """
    random = case.random
    source, donor = random.choice(seeds), random.choice(seeds)
    content = source.read_bytes()
    is_cut = random.random() < _CUT_SHARE
    damaged = cut(content, random) if is_cut else mutate(content, random, donor.read_bytes())
    if source.suffix == ".png" and not is_cut and random.random() < 0.7:
        damaged = with_png_checksums(damaged)
    copy = case.folder / source.name
    copy.write_bytes(damaged)
    return copy, source, is_cut


def file_reader(
    name: str,
    folder: str,
    pattern: str,
    read: Callable[[Path], Any],
    *,
    share: int = 10,
    cut_is_noticed: bool = False,
) -> Reader:
    """Return the reader of a kind of files.

    Args:
        name: Name of the reader.
        folder, pattern: Folder and names of the seed files.
        read: Reads a file and checks its content. It returns a value that tells two contents apart.
        share: See `Reader`.
        cut_is_noticed: Whether the format tells where its end is. A cut file then must be refused, or give the content
            of the complete one.
    """

    def prepare(case: Case) -> Action:
        path, source, is_cut = damaged_file(case, sorted((case.seeds / folder).glob(pattern)))
        expected = read(source) if is_cut and cut_is_noticed else None

        def action() -> None:
            content = read(path)
            if is_cut and cut_is_noticed:
                require(content == expected, "a file without its end is accepted, and its content is another one")

        return action

    return Reader(name, prepare, share, read)
