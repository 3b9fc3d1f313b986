"""The kinds of video files, by the endings of their names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import OutputError
from ..files import is_regular

ENDINGS = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".3gp", ".vob"),
    *(".flv", ".ogv", ".dv"),
)
"""Endings of the names of video files."""


class VideoFormat(NamedTuple):
    """A kind of video file.

    Attributes:
        container: FFmpeg's name of the container.
        codec: FFmpeg's name of the video encoder.
        options: options of the encoder. They say the quality.
        audio_encoder: encoder for sound that the container cannot take as it is.
    """

    container: str
    codec: str
    options: dict[str, str]
    audio_encoder: str


# Without frames that depend on later ones, the time stamps of decoding are those of showing, so that segments join
# without changing a packet.
_H264 = {"crf": "18", "bf": "0"}
_VP9 = {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}
FORMATS = {
    ".mp4": VideoFormat("mp4", "libx264", _H264, "aac"),
    ".m4v": VideoFormat("mp4", "libx264", _H264, "aac"),
    ".mov": VideoFormat("mov", "libx264", _H264, "aac"),
    ".mkv": VideoFormat("matroska", "libx264", _H264, "aac"),
    ".webm": VideoFormat("webm", "libvpx-vp9", _VP9, "libopus"),
}
"""Ending of a name -> kind of file."""


def is_video(path: Path) -> bool:
    """Whether a path is an existing file with the name ending of a video."""
    return has_video_ending(path) and is_regular(path)


def has_video_ending(path: Path) -> bool:
    """Whether a path has the name ending of a video."""
    return path.suffix.lower() in ENDINGS


def video_format(path: Path) -> VideoFormat:
    """Return the kind of video file that belongs to a name's ending.

    Raises:
        OutputError: videos with that ending cannot be written.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f'"{path.name}" does not end in a video format that can be written.',
            expected=f"a name ending in {', '.join(FORMATS)}",
            remedy="name the output restored.mp4, for instance",
        )
    return kind


def result_ending(path: Path) -> str:
    """Return the ending of the result for a video: its own, if such files can be written, else .mp4."""
    return path.suffix.lower() if path.suffix.lower() in FORMATS else ".mp4"
