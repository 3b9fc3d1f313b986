"""The frames of a video file, one after the other, so that a long video fits into memory. PyAV decodes them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ImageFileError
from ..files import require_regular
from .colors import Colors, Picture, colors_of, to_rgb
from .package import require_av


class Frame(NamedTuple):
    """A decoded frame.

    Attributes:
        number: number of the frame, from 0.
        timestamp: time since the start of the file, in units of the stream's time base. It rises from frame to frame.
        picture: (height, width, 3) uint8 RGB, upright.
    """

    number: int
    timestamp: int
    picture: Picture


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video stream before its frames are read.

    Attributes:
        size: (height, width) of the upright frames in pixels.
        rate: frames per second. In a video of variable rate it is the mean.
        time_base: seconds of a unit of the time stamps.
        frames: expected number of frames, as the file says. It may be wrong. None where the file says nothing.
        pixel_aspect: width of a pixel relative to its height.
        colors: colors of the stream.
        is_deep: whether a color channel has more than 8 bits.
        is_interlaced: whether the first frame is interlaced.
        audio: name of the codec of each audio stream.
        others: number of further streams, such as subtitles.
    """

    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    frames: int | None
    pixel_aspect: Fraction
    colors: Colors
    is_deep: bool
    is_interlaced: bool
    audio: tuple[str, ...]
    others: int


def read_facts(path: Path) -> VideoFacts:
    """Read the facts of the first video stream. They need the first frame.

    Raises:
        ImageFileError, MissingPackageError: as for `read_video`.
    """
    with opened_video(path) as (container, stream):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise _unreadable(path, "it has no frame")
        sideways = _quarter_turns(frame) % 2 == 1
        aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        audio = tuple(str(audio.codec_context.name) for audio in container.streams.audio)
        return VideoFacts(
            size=(frame.width, frame.height) if sideways else (frame.height, frame.width),
            rate=Fraction(rate),
            time_base=Fraction(stream.time_base),
            frames=_expected_frames(container, stream, rate),
            pixel_aspect=1 / Fraction(aspect) if sideways else Fraction(aspect),
            colors=colors_of(frame, stream),
            is_deep=any(component.bits > 8 for component in frame.format.components),
            is_interlaced=bool(frame.interlaced_frame),
            audio=audio,
            others=len(container.streams) - 1 - len(audio),
        )


def read_video(path: Path, first: int = 0) -> Iterator[Frame]:
    """Yield the frames of the first video stream.

    Args:
        path: the file.
        first: number of the first frame to yield. The frames before it are decoded too, so that a frame does not depend
            on where reading begins. This takes a small part of the time that restoring takes.

    Raises:
        ImageFileError: the file is missing, is no video, is damaged, or has no frame.
        MissingPackageError: PyAV is not installed.
    """
    number, last = 0, None
    with opened_video(path) as (container, stream):
        start = start_of(container, stream.time_base)
        step = max(1, round(1 / ((stream.average_rate or 25) * stream.time_base)))
        size = (0, 0)
        for frame in container.decode(stream):
            size = size if number else (frame.width, frame.height)
            least, expected = (None, 0) if last is None else (last + 1, last + step)
            timestamp = expected if frame.pts is None else frame.pts - start
            timestamp = timestamp if least is None else max(timestamp, least)
            if number >= first:
                # A stream may change its size. The frames of a video have one size.
                picture = to_rgb(frame, colors_of(frame, stream), *size)
                yield Frame(number, timestamp, np.ascontiguousarray(np.rot90(picture, _quarter_turns(frame))))
            last = timestamp
            number += 1
    if not number:
        raise _unreadable(path, "it has no frame")


def read_frames(path: Path) -> Iterator[Picture]:
    """Yield the pictures of the first video stream, (height, width, 3) uint8 RGB each. Errors as for `read_video`."""
    return (frame.picture for frame in read_video(path))


@contextmanager
def opened_video(path: Path) -> Generator[tuple[Any, Any], None, None]:
    """Open a file and its first video stream with PyAV. Errors of PyAV in the block become an ImageFileError.

    Raises:
        ImageFileError, MissingPackageError: as for `read_video`.
    """
    av = require_av()
    try:
        with av.open(str(require_regular(path)), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except (OSError, IndexError, av.FFmpegError) as error:
        raise _unreadable(path, str(error)) from error


def start_of(container: Any, time_base: Fraction) -> int:
    """Return the start of a container in units of a time base. Recordings of broadcasts start at any time."""
    return max(0, round(Fraction(container.start_time or 0, 1_000_000) / time_base))


def _quarter_turns(frame: Any) -> int:
    """Return the counter-clockwise quarter turns that make a frame upright, as phones' videos say it."""
    return round(frame.rotation / 90) % 4


def _expected_frames(container: Any, stream: Any, rate: Fraction) -> int | None:
    if stream.frames:
        return int(stream.frames)
    seconds = Fraction(container.duration or 0, 1_000_000)
    return round(seconds * rate) or None


def _unreadable(path: Path, reason: str) -> ImageFileError:
    return ImageFileError(
        f"{path} cannot be read as a video ({reason}).",
        expected="a video file, such as MP4 or MKV",
        remedy="name another file, or export the video again",
    )
