"""The segments of a restored video: files of some seconds each, which are joined in the end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor

from ..files import atomic_write
from .colors import Picture
from .endings import VideoFormat
from .parts import Parts
from .reading import Frame, VideoFacts
from .writing import SEGMENT_CONTAINER, VideoWriter

SEGMENT = 48
"""Frames of a segment. A killed restoration loses at most one segment of work."""
_BYTES_AHEAD = 128 * 2**20
"""Bytes of decoded pictures that wait at each stage, unless a single picture is larger."""
_MOST_AHEAD = 16
"""Most frames that wait at each stage."""


class SegmentFiles:
    """Encodes frames into the files of segments. A file has its final name when it is complete.

    Args:
        parts: the folder of the restoration.
        kind: kind of the video file.
        facts: facts of the source.
        frames: number of all frames.
    """

    def __init__(self, parts: Parts, kind: VideoFormat, facts: VideoFacts, frames: int) -> None:
        self._parts, self._kind, self._facts, self._frames = parts, kind, facts, frames
        self._open = ExitStack()
        self._writer: VideoWriter | None = None
        self.first_frame = parts.finished() * SEGMENT
        self.state = parts.load_state(parts.finished())
        bytes_of_frame = 3 * facts.size[0] * facts.size[1]
        self.frames_ahead = max(1, min(_MOST_AHEAD, _BYTES_AHEAD // bytes_of_frame))

    @contextmanager
    def opened(self) -> Generator[None, None, None]:
        """Keep the segments open for `write`. An unfinished one is deleted at the end of the block."""
        try:
            yield
        except BaseException as error:
            self._open.__exit__(type(error), error, error.__traceback__)
            raise
        self._open.close()

    def write(self, frame: Frame, picture: Picture, state: Mapping[str, Tensor]) -> None:
        """Encode a frame. `state` is what the frames after it depend on."""
        if self._writer is None:
            temporary = self._open.enter_context(atomic_write(self._parts.segment(frame.number // SEGMENT)))
            self._writer = self._open.enter_context(
                VideoWriter(
                    temporary,
                    self._kind,
                    container=SEGMENT_CONTAINER,
                    rate=self._facts.rate,
                    time_base=self._facts.time_base,
                    pixel_aspect=self._facts.pixel_aspect,
                    colors=self._facts.colors,
                )
            )
        self._writer.write(picture, frame.timestamp)
        if (frame.number + 1) % SEGMENT == 0 or frame.number + 1 == self._frames:
            number = frame.number // SEGMENT
            self._parts.save_state(number + 1, state)
            self._writer = None
            self._open.close()
            self._parts.drop_state(number)
