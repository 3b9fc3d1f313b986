"""The picture formats that this package reads and writes: the one list of them.

Pillow knows many more. Their readers are seldom used, and some start other programs (EPS) or take files that they
cannot decode (MPEG, HDF5), so strangers' files do not reach them.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ..files import is_hidden, is_regular

_ENDINGS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "GIF": (".gif",),
}
"""Pillow's name of each format, and the endings of its files. Cameras' multi-picture files (MPO) are JPEG files."""
_ONLY_READ = ("GIF",)  # 256 colors

NAMED = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000 or PPM"
"""The formats that are read, for messages."""


def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read; AVIF only where this Pillow has it."""
    Image.init()
    return tuple(name for name in _ENDINGS if name in Image.OPEN)


def is_picture(path: Path) -> bool:
    """Whether there is a file whose name ends as those of the formats that are read."""
    return _format_of(path) in readable_formats() and is_regular(path)


def pictures_in(folder: Path, *, subfolders: bool) -> list[Path]:
    """Picture files of a folder, sorted, without hidden files and folders; [] where there is no such folder.

    Args:
        folder: to search; links to other folders are not followed.
        subfolders: search the folders inside too.
    """
    if not folder.is_dir():
        return []
    paths = folder.rglob("*") if subfolders else folder.iterdir()
    return sorted(path for path in paths if not is_hidden(path.relative_to(folder)) and is_picture(path))


def writable_format(path: Path) -> str | None:
    """Pillow's name of the format that a name's ending means; None where such files are not written."""
    name = _format_of(path)
    Image.init()
    return name if name in Image.SAVE and name not in _ONLY_READ else None


def _format_of(path: Path) -> str | None:
    ending = path.suffix.lower()
    return next((name for name, endings in _ENDINGS.items() if ending in endings), None)
