"""Writing of video files, frame by frame. PyAV encodes them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..face.errors import MissingPackageError
from .colors import Colors, Picture, to_yuv
from .endings import VideoFormat
from .package import require_av

SEGMENT_CONTAINER = "nut"
"""FFmpeg's name of the container of segments. It keeps time stamps of every time base."""


class VideoWriter:
    """Encodes pictures into a file of one video stream. It is a context manager.

    Pictures of odd height or width get their last row or column twice, since 4:2:0 video needs even sizes.

    Args:
        path: the file. It is replaced.
        kind: encoder and options.
        container: FFmpeg's name of the container. None is that of `kind`.
        rate: frames per second, for players and for the encoder's choice of bits.
        time_base: seconds of a unit of the time stamps.
        pixel_aspect: width of a pixel relative to its height.
        colors: colors to write, and to say in the file.

    Raises:
        MissingPackageError: PyAV is not installed, or its FFmpeg lacks the encoder.
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        kind: VideoFormat,
        *,
        rate: Fraction,
        time_base: Fraction,
        container: str | None = None,
        pixel_aspect: Fraction = Fraction(1),
        colors: Colors | None = None,
    ) -> None:
        self._av = require_av()
        self._require_encoder(kind.codec)
        self._container = self._av.open(str(path), "w", format=container or kind.container)
        self._kind, self._rate, self._time_base = kind, rate, time_base
        self._pixel_aspect, self._colors = pixel_aspect, colors or Colors()
        self._stream: Any = None

    def write(self, picture: Picture, timestamp: int) -> None:
        """Encode a picture (height, width, 3) uint8 RGB. All pictures have one size, and the time stamps rise."""
        height, width = picture.shape[:2]
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._new_stream(even.shape[0], even.shape[1])
        frame = to_yuv(self._av.VideoFrame.from_ndarray(even, format="rgb24"), self._colors)
        frame.pts, frame.time_base = timestamp, self._time_base
        frame.colorspace, frame.color_range = self._colors.matrix, self._colors.range
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what is left, and close the file."""
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._container.close()

    def _new_stream(self, height: int, width: int) -> Any:
        stream = self._container.add_stream(self._kind.codec, rate=self._rate, options=dict(self._kind.options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = self._time_base
        context.sample_aspect_ratio = self._pixel_aspect
        context.colorspace, context.color_range = self._colors.matrix, self._colors.range
        context.color_primaries, context.color_trc = self._colors.primaries, self._colors.transfer
        context.thread_type = "AUTO"
        return stream

    def _require_encoder(self, name: str) -> None:
        try:
            self._av.codec.Codec(name, "w")
        except ValueError as error:
            raise MissingPackageError(
                f"This PyAV cannot encode with {name}.",
                expected="PyAV with the encoders of its own packages",
                remedy='run `pip install --force-reinstall "av>=14.2"`, or choose .webm instead of .mp4 or the reverse',
            ) from error
