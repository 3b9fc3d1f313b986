"""The pictures of a folder, found by names that a list has."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from ..pictures.formats import pictures_in
from .corpus import DataError


class LocalPictures:
    """Pictures of a folder and its subfolders.

    Args:
        folder: to search.
        without: subfolders to leave out.

    Raises:
        DataError: no pictures, or one name in two subfolders, so that it would not be clear which is meant.
    """

    def __init__(self, folder: Path, without: Collection[Path] = ()) -> None:
        self.folder = folder
        self._paths: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        for path in _pictures(folder, set(without)):
            inside = path.relative_to(folder).as_posix()
            other = self._paths.setdefault(path.name, inside)
            if other != inside:
                raise DataError(
                    f"{folder} has two pictures of the name {path.name}: {other} and {inside}.",
                    expected="each picture once, in one size",
                    remedy="name the subfolder that holds the pictures to use",
                )
            self._by_stem.setdefault(path.stem, inside)
        if not self._paths:
            raise DataError(
                f"There are no pictures in {folder}.", expected="a folder of pictures", remedy="check the path"
            )

    def find(self, name: str) -> str | None:
        """Where a picture is, below the folder: by its name in whichever subfolder, else in another picture format."""
        pure = PurePosixPath(name)
        exact = self._paths.get(pure.name)
        if exact is not None:
            return exact
        found = self._by_stem.get(pure.stem)
        if found is not None and pure.suffix:
            self._renamed[name] = found
        return found

    def notes(self) -> list[str]:
        """What is worth saying of what was found."""
        if not self._renamed:
            return []
        name, found = next(iter(self._renamed.items()))
        return [f"{len(self._renamed)} pictures are there in another format: {name} as {found}, for instance."]


def _pictures(folder: Path, without: Collection[Path]) -> Iterator[Path]:
    for path in pictures_in(folder, subfolders=True):
        if not any(parent in without for parent in path.parents):
            yield path
