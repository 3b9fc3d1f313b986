"""Picture files, and files that only have a picture's name."""

from __future__ import annotations

import hashlib
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from refldm_core.errors import ReFLDMError
from refldm_core.images import load_image
from refldm_core.photo_files import load_photo, save_photo
from refldm_core.synthetic.records import read_record

from ..cases import Action, Case, Reader, require
from ..mutation import mutate, with_png_checksums
from .whole_files import file_reader


def read(path: Path) -> str:
    """Read a picture in both ways, write it as a result is written, and return a hash of its pixels."""
    image = load_image(path)
    pixels = np.asarray(image)
    require(image.mode == "RGB" and pixels.shape == (*image.size[::-1], 3) and min(image.size) >= 8, "another layout")
    photo = load_photo(path)
    values = photo.srgb()
    require(values.isfinite().all() and values.abs().max() <= 1.0, "values outside -1..1")
    require(tuple(values.shape[1:]) == pixels.shape[:2], "the photo has another size than the picture")
    canvas = photo.canvas()
    shown = photo.from_srgb(values.unsqueeze(0))[0] if canvas is not None else values
    require(shown.isfinite().all(), "converted to the file's colors, values are not finite")
    if path.parent.name != "pictures":  # the seed files' folder stays as it is
        result = path.with_name("result.png")
        save_photo(photo, shown, result)
        require(load_image(result).size == image.size, "the result has another size")
        result.unlink()
    read_record(path)
    return hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()


def read_video(path: Path) -> None:
    """Read a video that has the name of a picture. It must be refused."""
    try:
        load_image(path)
    except ReFLDMError:
        raise
    require(False, "a video is accepted as a picture")


_BOMBS = ("deep.png", "rgb.png", "rgba.png", "gray.png", "x.tif", "x.webp", "x.jpg", "x.jp2", "x.gif", "x.bmp")


def _write_bomb(path: Path, side: int) -> None:
    """Write a very large picture of one color."""
    kind = path.name.partition(" ")[2]
    if kind.endswith(".png"):
        channels, depth = {"deep": (3, 2), "rgb": (3, 1), "rgba": (4, 1), "gray": (1, 1)}[kind.removesuffix(".png")]
        header = struct.pack(">IIBBBBB", side, side, 8 * depth, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
        packer = zlib.compressobj(9)
        row = b"\0" + bytes(side * channels * depth)
        packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
        chunks = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
        content = b"".join(struct.pack(">I", len(data)) + name + data + bytes(4) for name, data in chunks)
        path.write_bytes(with_png_checksums(b"\x89PNG\r\n\x1a\n" + content))
        return
    options = {".tif": {"compression": "tiff_adobe_deflate"}}.get(path.suffix, {})
    Image.new("L" if path.suffix == ".gif" else "RGB", (min(side, 16_000), side), "gray").save(path, **options)


def _prepare_bomb(case: Case) -> Action:
    """Write a picture that takes far more memory than its file."""
    random = case.random
    kind = _BOMBS[case.number % len(_BOMBS)]
    side = random.choice((3900, 6300)) if not kind.endswith((".png", ".tif")) else random.choice((3900, 6300, 12_000))
    stored = case.seeds.parent / f"{side} {kind}"
    if not stored.exists():
        _write_bomb(stored, side)
    path = case.folder / f"bomb{stored.suffix}"
    shutil.copy(stored, path)
    return lambda: load_image(path) if random.random() < 0.5 else load_photo(path)


def _prepare_video(case: Case) -> Action:
    random = case.random
    content = (case.seeds / "video" / "clip.mp4").read_bytes()
    path = case.folder / f"clip.{random.choice(('mp4', 'png', 'jpg', 'avif', 'jp2', 'webp'))}"
    path.write_bytes(mutate(content, random))
    return lambda: read_video(path)


def _pictures(name: str, ending: str, share: int) -> Reader:
    return file_reader(name, "pictures", f"*.{ending}", read, share=share, cut_is_noticed=True)


READERS = [
    _pictures("PNG", "png", share=14),
    _pictures("JPEG", "jpg", share=14),
    _pictures("WebP", "webp", share=10),
    _pictures("TIFF", "tif", share=20),
    _pictures("AVIF", "avif", share=8),
    _pictures("JPEG 2000", "jp2", share=8),
    _pictures("GIF", "gif", share=6),
    _pictures("BMP", "bmp", share=5),
    _pictures("PPM", "ppm", share=5),
    Reader("picture bombs", _prepare_bomb, 2, read),
    Reader("video", _prepare_video, 5, read_video),
]
