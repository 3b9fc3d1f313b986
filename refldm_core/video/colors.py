"""The colors of video frames, and the conversion from and to RGB.

The numbers are those of ITU-T H.273, which FFmpeg uses too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_RGB, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 5
_FULL = 2
"""FFmpeg's number of the full range. 1 is the limited range, and 0 is unspecified."""
_LARGEST_BT601 = (1280, 577)
"""Width and height from which players take frames of an unspecified matrix as BT.709."""


class Colors(NamedTuple):
    """What a video stream says about its colors.

    Attributes:
        matrix: matrix between RGB and YUV.
        range: range of the values.
        primaries: colors of the primaries.
        transfer: transfer function.
    """

    matrix: int = _UNSPECIFIED
    range: int = 0
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer function is that of HDR10 (PQ) or HLG."""
        return self.transfer in (16, 18)

    def effective_matrix(self, width: int, height: int) -> int:
        """Return the matrix that players use for frames of this size."""
        if self.matrix in (_RGB, _UNSPECIFIED):
            return _BT709 if width >= _LARGEST_BT601[0] or height >= _LARGEST_BT601[1] else _BT601
        return self.matrix


def colors_of(frame: Any, stream: Any) -> Colors:
    """Return the colors of a decoded frame (`av.VideoFrame`) of a stream."""
    context = stream.codec_context
    return Colors(int(frame.colorspace), int(frame.color_range), context.color_primaries, context.color_trc)


def to_rgb(frame: Any, colors: Colors, width: int, height: int) -> Picture:
    """Convert a decoded frame (`av.VideoFrame`) to a picture (height, width, 3) uint8 RGB of a size."""
    matrix = colors.effective_matrix(frame.width, frame.height)
    pixels = frame.to_ndarray(
        format="rgb24",
        width=width,
        height=height,
        src_colorspace=matrix,
        dst_colorspace=_other_than(matrix),
        src_color_range=colors.range,
    )
    return np.asarray(pixels, dtype=np.uint8)


def to_yuv(frame: Any, colors: Colors) -> Any:
    """Convert a frame in RGB (`av.VideoFrame`) to yuv420p in the colors of a stream."""
    matrix = colors.effective_matrix(frame.width, frame.height)
    return frame.reformat(
        format="yuv420p",
        src_colorspace=_other_than(matrix),
        dst_colorspace=matrix,
        dst_color_range=colors.range,
    )


def _other_than(matrix: int) -> int:
    """Return the matrix to name for RGB, which has none. PyAV ignores equal matrices, and converts with BT.601."""
    return _BT709 if matrix == _BT601 else _BT601
