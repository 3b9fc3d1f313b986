"""The frames of a video file, one after the other, so that a long video fits into memory. PyAV decodes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..errors import ImageFileError, SettingsError
from ..files import require_regular
from .metrics import Picture
from .packages import require


def read_frames(path: Path) -> Iterator[Picture]:
    """Yield the frames of the first video stream: (height, width, 3) uint8 RGB each.

    Raises:
        ImageFileError: the file is missing, is no video, is damaged, or has no frame.
        MissingPackageError: PyAV is not installed.
    """
    av = require("av")
    count = 0
    try:
        with av.open(str(require_regular(path))) as container:
            for frame in container.decode(container.streams.video[0]):
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                count += 1
    except (OSError, IndexError, av.FFmpegError) as error:
        raise _unreadable(path, str(error)) from error
    if not count:
        raise _unreadable(path, "it has no frame")


def read_together(truth: Path, methods: dict[str, Path]) -> Iterator[tuple[Picture, dict[str, Picture]]]:
    """Yield each frame of the truth with the frames of all methods.

    Raises:
        SettingsError: the videos differ in their number of frames, or in their size.
        ImageFileError, MissingPackageError: see `read_frames`.
    """
    videos = [read_frames(path) for path in (truth, *methods.values())]
    for number, (true_frame, *frames) in enumerate(zip_longest(*videos)):
        for path, frame in zip(methods.values(), frames, strict=True):
            if true_frame is None or frame is None:
                shorter, longer = (truth, path) if true_frame is None else (path, truth)
                raise SettingsError(
                    f"{shorter} ends after {number} frames, and {longer} has more.",
                    expected="videos with the same frames",
                    remedy="export both with the same frame rate, and cut them at the same frames",
                )
            if frame.shape != true_frame.shape:
                raise SettingsError(
                    f"{path} has {_size_text(frame)} pixels, and {truth} has {_size_text(true_frame)}.",
                    expected="videos of one size",
                    remedy="export the restored video in the size of the true one",
                )
        if true_frame is not None:
            yield true_frame, dict(zip(methods, frames, strict=True))


def _size_text(frame: Picture) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"


def _unreadable(path: Path, reason: str) -> ImageFileError:
    return ImageFileError(
        f"{path} cannot be read as a video ({reason}).",
        expected="a video file, such as MP4 or MKV",
        remedy="name another file, or export the video again",
    )
