"""Write videos with the packages that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from ..files import atomic_write
from ..samples import Picture
from ..video.endings import video_format
from ..video.writing import VideoWriter

_WEBP: dict[str, Any] = {"quality": 85, "method": 4}


def write_video(frames: Sequence[Picture], path: Path, rate: float) -> Path:
    """Write a video: MP4 (H.264) where PyAV is installed, else an animated WebP file.

    Args:
        frames: (height, width, 3) uint8 each.
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
        exact_rate = Fraction(rate).limit_denominator(1000)
        with VideoWriter(temporary, video_format(target), rate=exact_rate, time_base=1 / exact_rate) as writer:
            for timestamp, frame in enumerate(frames):
                writer.write(frame, timestamp)
    return target
