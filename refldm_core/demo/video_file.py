"""Write videos with the packages that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from ..files import atomic_write
from ..samples import Picture

_CODEC = "libx264"
_CONSTANT_QUALITY = "20"
_WEBP: dict[str, Any] = {"quality": 85, "method": 4}


def write_video(frames: Sequence[Picture], path: Path, rate: float) -> Path:
    """Write a video: MP4 (H.264) where PyAV is installed, else an animated WebP file.

    Args:
        frames: (height, width, 3) uint8 each, of even height and width.
        path: path of the file without its ending.
        rate: frames per second.

    Returns:
        The file that was written.

    Raises:
        OutputError: the file cannot be written.
    """
    if find_spec("av") is None:
        target = path.with_suffix(".webp")
        first, *more = (Image.fromarray(frame) for frame in frames)
        with atomic_write(target) as temporary:
            first.save(
                temporary, "WEBP", save_all=True, append_images=more, duration=round(1000 / rate), loop=0, **_WEBP
            )
        return target
    target = path.with_suffix(".mp4")
    with atomic_write(target) as temporary:
        _write_mp4(frames, temporary, rate)
    return target


def _write_mp4(frames: Sequence[Picture], path: Path, rate: float) -> None:
    av: Any = import_module("av")
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(_CODEC, rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": _CONSTANT_QUALITY}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
