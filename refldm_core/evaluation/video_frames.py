"""The frames of several video files side by side."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ..errors import SettingsError
from ..video.reading import read_frames
from .metrics import Picture


def read_together(truth: Path, methods: dict[str, Path]) -> Iterator[tuple[Picture, dict[str, Picture]]]:
    """Yield each frame of the truth with the frames of all methods.

    Raises:
        SettingsError: the videos differ in their number of frames, or in their size.
        ImageFileError, MissingPackageError: see `video.reading.read_video`.
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
