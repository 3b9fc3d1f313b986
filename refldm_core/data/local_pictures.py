"""Find the pictures of a folder by the names in a list."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from ..pictures.formats import pictures_in
from .corpus import DataError


class LocalPictures:
    """Pictures of a folder and its subfolders.

    Args:
        folder: folder to search.
        without: subfolders to leave out.

    Raises:
        DataError: the folder has no pictures, or a name occurs in two subfolders, so that it is ambiguous.
    """

    def __init__(self, folder: Path, without: Collection[Path] = ()) -> None:
        self.folder = folder
        self._paths: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        for path in _pictures(folder, set(without)):
            inside = path.relative_to(folder).as_posix()
            earlier = self._paths.setdefault(path.name, inside)
            if earlier != inside:
                raise DataError(
                    f"{folder} has two pictures of the name {path.name}: {earlier} and {inside}.",
                    expected="each picture once, in one size",
                    remedy="name the subfolder that holds the pictures to use",
                )
            self._by_stem.setdefault(path.stem, inside)
        if not self._paths:
            raise DataError(
                f"There are no pictures in {folder}.", expected="a folder of pictures", remedy="check the path"
            )

    def find(self, name: str) -> str | None:
        """Return the path of a picture below the folder; None where it is missing.

        The picture may lie in any subfolder. Where there is none of that name, one in another picture format is taken.
        """
        pure = PurePosixPath(name)
        exact = self._paths.get(pure.name)
        if exact is not None:
            return exact
        path = self._by_stem.get(pure.stem)
        if path is not None and pure.suffix:
            self._renamed[name] = path
        return path

    def notes(self) -> list[str]:
        """Return sentences about what is unusual but harmless."""
        if not self._renamed:
            return []
        name, path = next(iter(self._renamed.items()))
        return [f"{len(self._renamed)} pictures have another format, for instance {name} as {path}."]


def _pictures(folder: Path, without: Collection[Path]) -> Iterator[Path]:
    for path in pictures_in(folder, subfolders=True):
        if not any(parent in without for parent in path.parents):
            yield path
