"""Joining the segments of a restored video with the sound of the original. No frame is encoded again."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import ImageFileError
from .endings import VideoFormat
from .package import require_av
from .reading import start_of

_KEPT = ("title", "artist", "comment", "description", "copyright", "creation_time", "date")
_LOCATION = ("location", "location-eng", "com.apple.quicktime.location.ISO6709")
"""Names of metadata, as FFmpeg spells them."""
_QUICKTIME = ("mp4", "mov")
"""Containers that keep time stamps of any time base."""

TimedPacket = tuple[Fraction, int, Any]
"""Time of decoding in seconds, number of the stream, and packet: a key to merge streams by."""


def join(
    segments: Sequence[Path], source: Path, target: Path, kind: VideoFormat, *, keep_location: bool = False
) -> list[str]:
    """Write one file from the segments and the sound of the source.

    Packets of sound are copied where the container takes their codec. Else they are encoded again. Only one packet of
    each stream is in memory.

    Args:
        segments: the segments in order, one or more.
        source: the original video.
        target: the file to write. It is replaced.
        kind: kind of the target.
        keep_location: whether to keep the place of the recording.

    Returns:
        Remarks on what could not be kept.

    Raises:
        ImageFileError: a segment or the sound of the source cannot be read.
        OSError: the target cannot be written.
    """
    av = require_av()
    with ExitStack() as stack:
        original = stack.enter_context(av.open(str(source), metadata_errors="replace"))
        first = stack.enter_context(av.open(str(segments[0])))
        stream = first.streams.video[0]
        options = {"video_track_timescale": str(stream.time_base.denominator)} if kind.container in _QUICKTIME else {}
        output = stack.enter_context(av.open(str(target), "w", format=kind.container, options=options))
        output.metadata.update(_metadata(original.metadata, keep_location=keep_location))
        video = output.add_stream_from_template(stream, opaque=True)
        tracks = [_Sound(audio, output, kind, number) for number, audio in enumerate(original.streams.audio, 1)]
        packets: list[Iterable[TimedPacket]] = [_video_packets(segments, video)]
        if tracks:
            packets.append(_sound_packets(original, tracks))
        try:
            for _, _, packet in heapq.merge(*packets, key=lambda item: item[:2]):
                output.mux(packet)
        except av.error.InvalidDataError as error:
            raise ImageFileError(
                f"The sound of {source} cannot be read ({error}).",
                expected="a video whose sound is complete",
                remedy="export the video again, with or without sound",
            ) from error
    return [remark for track in tracks for remark in track.remarks]


def _metadata(metadata: dict[str, str], *, keep_location: bool) -> dict[str, str]:
    names = (*_KEPT, *_LOCATION) if keep_location else _KEPT
    return {name: value for name, value in metadata.items() if name in names}


def _video_packets(segments: Sequence[Path], stream: Any) -> Iterator[TimedPacket]:
    av = require_av()
    for path in segments:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    yield packet.dts * packet.time_base, 0, packet


def _sound_packets(container: Any, tracks: Sequence[_Sound]) -> Iterator[TimedPacket]:
    """Yield the packets of all tracks, ready for the output."""
    track_of = {track.source.index: track for track in tracks}
    for packet in container.demux([track.source for track in tracks]):
        track = track_of[packet.stream.index]
        for ready in track.convert(packet):
            yield ready.dts * ready.time_base, track.number, ready


class _Sound:
    """One track of sound on its way from the source to the output.

    Args:
        source: stream of the source.
        output: container of the output.
        kind: kind of the output.
        number: number of the track, from 1.
    """

    def __init__(self, source: Any, output: Any, kind: VideoFormat, number: int) -> None:
        self.source = source
        self.number = number
        self.remarks: list[str] = []
        codec = source.codec_context.name
        self._encoder: Any = None
        if _takes(kind, source):
            self._stream = output.add_stream_from_template(source)
        else:
            rate = 48_000 if kind.audio_encoder == "libopus" else source.codec_context.sample_rate
            self._stream = self._encoder = output.add_stream(
                kind.audio_encoder, rate=rate, layout=_layout(source.codec_context)
            )
            self.remarks = [
                f"track {number} of the sound was encoded again ({codec} to {kind.audio_encoder.removeprefix('lib')}), "
                f"since {kind.container} cannot hold it"
            ]
        if source.language and source.language != "und":
            self._stream.metadata["language"] = source.language
        self._start = start_of(source.container, source.time_base)

    def convert(self, packet: Any) -> Iterator[Any]:
        """Yield the output's packets for a packet of the source. The packet at the end is empty."""
        if self._encoder is None:
            if packet.size and packet.dts is not None:
                packet.pts = packet.pts if packet.pts is None else packet.pts - self._start
                packet.dts -= self._start
                packet.stream = self._stream
                yield packet
            return
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= self._start
            yield from self._encoder.encode(frame)
        if not packet.size:
            yield from self._encoder.encode()


def _takes(kind: VideoFormat, stream: Any) -> bool:
    """Whether a container takes the packets of a stream as they are. FFmpeg knows only when it writes the header."""
    if kind.container == "mp4" and stream.codec_context.name.startswith("pcm_"):
        return False  # few players play it
    av = require_av()
    try:
        with av.open(io.BytesIO(), "w", format=kind.container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, OSError, av.FFmpegError):
        return False
    return True


def _layout(context: Any) -> str:
    """Return the channels of the encoded sound: mono or stereo, which every encoder takes."""
    return "mono" if context.channels == 1 else "stereo"
