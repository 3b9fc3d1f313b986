"""Formats that are read and written, and files that only look like pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from refldm_core.data.corpus import CorpusSpec, DataError, FolderCorpus
from refldm_core.data.local_pictures import LocalPictures
from refldm_core.errors import ImageFileError, OutputError
from refldm_core.evaluation import dataset
from refldm_core.images import image_format, load_image, save_image
from refldm_core.photo_files import load_photo
from refldm_core.pictures.formats import is_picture, pictures_in

AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
READ = [
    *("png", "apng", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "jp2", "ppm"),
    pytest.param("avif", marks=AVIF),
]
NOT_READ = ["mpg", "h5", "eps", "pdf", "blp", "wmf", "fits", "grib", "psd", "txt"]


def picture() -> Image.Image:
    ramp = np.add.outer(np.arange(24) * 3, np.arange(32) * 4).astype(np.uint8)
    return Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], -1))


@pytest.mark.parametrize("ending", READ)
def test_every_readable_format_is_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    picture().save(path, "GIF" if ending == "gif" else image_format(path))
    assert is_picture(path) and pictures_in(tmp_path, subfolders=False) == [path]
    for image in (load_image(path), load_photo(path).decoded.srgb()):
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(picture()))
        assert image.size == (32, 24) and difference.mean() < 12


@pytest.mark.parametrize("ending", NOT_READ)
def test_files_with_other_endings_are_not_pictures(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    picture().save(path, "PNG")
    assert not is_picture(path) and pictures_in(tmp_path, subfolders=True) == []
    with pytest.raises(OutputError, match="does not end in a picture format") as caught:
        save_image(picture(), tmp_path / f"result.{ending}")
    assert caught.value.remedy


def test_gif_is_not_written(tmp_path: Path) -> None:
    """It has 256 colors."""
    with pytest.raises(OutputError, match="does not end in a picture format"):
        image_format(tmp_path / "a.gif")


CONTENTS = {
    "MPEG video": b"\0\0\1\xb3" + bytes(range(64)) * 4,
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(300),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n",
    "Photoshop": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x40\0\0\0\x40\0\x08\0\3" + bytes(100),
    "text": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_other_content_with_a_picture_name_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENTS[kind])
    with pytest.raises(ImageFileError, match="is not a picture that can be read") as caught:
        load_image(path)
    assert "AVIF" in caught.value.expected and caught.value.remedy


@AVIF
def test_a_damaged_avif_file_is_refused(tmp_path: Path) -> None:
    """Pillow raises RuntimeError for such a file."""
    path = tmp_path / "a.avif"
    save_image(picture(), path)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 8
    content[start : start + 12] = b"\xff" * 12
    path.write_bytes(content)
    for load in (load_image, load_photo):
        with pytest.raises(ImageFileError, match=r"a\.avif cannot be read") as caught:
            load(path)
        assert isinstance(caught.value.__cause__, RuntimeError)


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def _loop(folder: Path) -> Path:
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return folder / "loop.png"


def _folder(folder: Path) -> Path:
    (folder / "folder.png").mkdir()
    return folder / "folder.png"


NOT_FILES: dict[str, Callable[[Path], Path]] = {
    "pipe": _fifo,
    "device": lambda folder: Path("/dev/zero"),
    "loop of links": _loop,
    "folder": _folder,
    "NUL": lambda folder: folder / "a\0.png",
    "long name": lambda folder: folder / ("a" * 300 + ".png"),
    "long path": lambda folder: folder / "/".join(["a" * 200] * 30) / "a.png",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other file names, and no pipes in folders")
@pytest.mark.parametrize("kind", NOT_FILES)
def test_a_path_that_is_not_a_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = NOT_FILES[kind](tmp_path)
    with pytest.raises(ImageFileError) as caught:
        load_image(path)
    assert caught.value.expected and caught.value.remedy and "\n" not in caught.value.problem
    assert not is_picture(path) and pictures_in(tmp_path, subfolders=True) == []


def test_hidden_files_are_not_pictures_of_a_folder(tmp_path: Path) -> None:
    """A killed process leaves temporary files. macOS writes ._a.png beside a.png on some disks."""
    for name in (
        "a.png",
        "b/c.png",
        "._a.png",
        ".refldm-0123456789ab.part",
        ".trash/d.png",
        "b/.0123456789ab.part.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture().save(tmp_path / name, "PNG")
    assert [path.name for path in pictures_in(tmp_path, subfolders=True)] == ["a.png", "c.png"]
    assert [path.name for path in pictures_in(tmp_path, subfolders=False)] == ["a.png"]
    assert dataset.pictures_in(tmp_path) == ["a.png", "b/c.png"]
    assert LocalPictures(tmp_path).find("._a.png") is None
    corpus = FolderCorpus(CorpusSpec("folder", folder=str(tmp_path), size=16))
    assert len(corpus.targets) == 1
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="no pictures"):
        FolderCorpus(CorpusSpec("folder", folder=str(tmp_path), size=16))
