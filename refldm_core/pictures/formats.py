"""The only list of the picture formats that this package reads and writes.

Pillow can open many more. Files from strangers must not reach their readers: these are seldom used, some start other
programs (EPS), and some accept files that they cannot decode (MPEG, HDF5).
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
"""Pillow's name of each format, and the endings of its file names. Cameras' multi-picture files (MPO) count as JPEG."""
_READ_ONLY = ("GIF",)  # a GIF file holds 256 colors only

FORMAT_NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000 or PPM"
"""The readable formats as a list for messages."""


def readable_formats() -> tuple[str, ...]:
    """Return Pillow's names of the readable formats. AVIF is among them only where this Pillow supports it."""
    Image.init()
    return tuple(name for name in _ENDINGS if name in Image.OPEN)


def is_picture(path: Path) -> bool:
    """Whether a path is an existing file with the name ending of a readable format."""
    return _format_of(path) in readable_formats() and is_regular(path)


def pictures_in(folder: Path, *, subfolders: bool) -> list[Path]:
    """List the picture files of a folder, sorted, without hidden files and folders. A missing folder gives [].

    Args:
        folder: Folder to search. Links to other folders are not followed.
        subfolders: Search the subfolders too.
    """
    if not folder.is_dir():
        return []
    paths = folder.rglob("*") if subfolders else folder.iterdir()
    return sorted(path for path in paths if not is_hidden(path.relative_to(folder)) and is_picture(path))


def writable_format(path: Path) -> str | None:
    """Return Pillow's name of the format for a name ending, or None where this package cannot write the format."""
    name = _format_of(path)
    Image.init()
    return name if name in Image.SAVE and name not in _READ_ONLY else None


def _format_of(path: Path) -> str | None:
    ending = path.suffix.lower()
    return next((name for name, endings in _ENDINGS.items() if ending in endings), None)
