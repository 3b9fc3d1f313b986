"""Reading, writing and joining of video files."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from refldm_core.errors import ImageFileError, OutputError
from refldm_core.face.errors import MissingPackageError
from refldm_core.video.colors import Colors
from refldm_core.video.endings import has_video_ending, result_ending, video_format
from refldm_core.video.joining import join
from refldm_core.video.reading import read_facts, read_video
from refldm_core.video.writing import SEGMENT_CONTAINER, VideoWriter

from .clips import HEIGHT, RATE, WIDTH, picture, sound_packets, write_clip


def _smooth(k: int = 0) -> np.ndarray:
    y, x = np.indices((HEIGHT, WIDTH))
    waves = [128 + 90 * np.sin((x + k) / 17), 128 + 90 * np.cos(y / 13), 128 + 90 * np.sin((x + y + k) / 23)]
    return np.stack(waves, axis=-1).round().astype(np.uint8)


def _segments(source: Path, target: Path, length: int = 5) -> list[Path]:
    """Copy the frames of a video into segments."""
    facts, paths = read_facts(source), []
    for frame in read_video(source):
        if frame.number % length == 0:
            paths.append(target.with_name(f"{frame.number}.nut"))
            writer = VideoWriter(
                paths[-1],
                video_format(target),
                container=SEGMENT_CONTAINER,
                rate=facts.rate,
                time_base=facts.time_base,
                colors=facts.colors,
            )
        writer.write(frame.picture, frame.timestamp)
        if frame.number % length == length - 1:
            writer.close()
    if (frame.number + 1) % length:
        writer.close()
    return paths


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    facts = read_facts(write_clip(tmp_path / "clip.mp4", 12, tracks=2))
    assert facts.size == (HEIGHT, WIDTH) and facts.rate == RATE and facts.frames == 12
    assert facts.audio == ("aac", "aac") and facts.others == 0 and facts.pixel_aspect == 1
    assert not (facts.is_deep or facts.is_interlaced or facts.colors.is_hdr)


@pytest.mark.parametrize("first", [0, 7])
def test_reading_from_a_frame_gives_the_same_frames(tmp_path: Path, first: int) -> None:
    """The source has frames that depend on later ones."""
    path = write_clip(tmp_path / "clip.mp4", 12)
    frames, rest = list(read_video(path)), list(read_video(path, first))
    assert [frame.number for frame in frames] == list(range(12)) and len(rest) == 12 - first
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(frames[first:], rest, strict=True))
    assert [frame.timestamp for frame in rest] == [512 * k for k in range(first, 12)]


def test_sideways_video_of_a_phone_is_turned_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 2, audio=None)
    upright = next(read_video(path)).picture
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 16
    # A quarter turn clockwise, as the header of a phone's video says it: a, b, u, c, d in 16.16.
    turn = [0, 1 << 16, 0, -(1 << 16), 0]
    data[matrix : matrix + 20] = b"".join(value.to_bytes(4, "big", signed=True) for value in turn)
    path.write_bytes(data)
    assert read_facts(path).size == (WIDTH, HEIGHT)
    assert np.array_equal(next(read_video(path)).picture, np.rot90(upright, -1))


ALL_COLORS = {
    "unspecified": Colors(),
    "BT.709, limited": Colors(1, 1, 1, 1),
    "BT.601, full": Colors(5, 2, 5, 6),
    "BT.2020": Colors(9, 1, 9, 14),
}


@pytest.mark.parametrize("name", ALL_COLORS)
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_colors_and_their_tags_survive(tmp_path: Path, name: str, ending: str) -> None:
    path, colors = tmp_path / f"clip{ending}", ALL_COLORS[name]
    with VideoWriter(path, video_format(path), rate=RATE, time_base=1 / RATE, colors=colors) as writer:
        for k in range(3):
            writer.write(_smooth(k), k)
    facts = read_facts(path)
    assert facts.colors.matrix == colors.matrix and facts.colors.primaries == colors.primaries
    assert colors.range in (0, facts.colors.range)
    for frame in read_video(path):
        assert np.abs(frame.picture.astype(int) - _smooth(frame.number)).mean() < 2.5


def test_time_stamps_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    timestamps = [0, 512, 700, 1900, 1901, 2500, 4000]
    source = write_clip(tmp_path / "clip.mp4", 7, timestamps=timestamps)
    for name in ("joined.mp4", "joined.mov"):
        target = tmp_path / name
        join(_segments(source, target, 3), source, target, video_format(target))
        facts = read_facts(target)
        seconds = [frame.timestamp * facts.time_base for frame in read_video(target)]
        assert seconds == [Fraction(timestamp, 12800) for timestamp in timestamps]


def test_joining_changes_no_frame(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", 12), tmp_path / "joined.mp4"
    segments = _segments(source, target)
    assert len(segments) == 3
    assert join(segments, source, target, video_format(target)) == []
    expected = [frame.picture for path in segments for frame in read_video(path)]
    frames = [frame.picture for frame in read_video(target)]
    assert len(frames) == 12 and all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))


SOUNDS = {
    ("aac", ".mp4"): (".mp4", ".mov", ".mkv"),
    ("libopus", ".mkv"): (".mp4", ".mkv", ".webm"),
    ("mp3", ".mkv"): (".mp4", ".mkv"),
    ("pcm_s16le", ".avi"): (".mkv",),
}


@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: sound[0])
def test_packets_of_sound_are_copied(tmp_path: Path, sound: tuple[str, str]) -> None:
    source = write_clip(tmp_path / f"clip{sound[1]}", 12, audio=sound[0], tracks=2)
    original = sound_packets(source)
    assert len(original) == 2 and original[0] != original[1]
    for ending in SOUNDS[sound]:
        target = tmp_path / f"joined{ending}"
        assert join(_segments(source, target), source, target, video_format(target)) == []
        copied = sound_packets(target)
        assert [[packet for _, packet in track] for track in copied] == [[p for _, p in track] for track in original]
        for track, copy in zip(original, copied, strict=True):
            # A container may not hold times before 0. Sound and picture are then shifted alike.
            shifts = [float(after - before) for (before, _), (after, _) in zip(track, copy, strict=True)]
            assert max(shifts) - min(shifts) < 0.002 and 0.0 <= shifts[0] + 0.001 < 0.03


@pytest.mark.parametrize(("source", "audio", "target"), [(".mp4", "aac", ".webm"), (".avi", "pcm_s16le", ".mp4")])
def test_sound_that_the_container_cannot_hold_is_encoded_again(
    tmp_path: Path, source: str, audio: str, target: str
) -> None:
    original, joined = write_clip(tmp_path / f"clip{source}", 12, audio=audio), tmp_path / f"joined{target}"
    remarks = join(_segments(original, joined), original, joined, video_format(joined))
    assert len(remarks) == 1 and f"({audio} to {'opus' if target == '.webm' else 'aac'})" in remarks[0]
    (track,) = sound_packets(joined)
    assert float(track[-1][0] - track[0][0]) == pytest.approx(12 / 25, abs=0.05)


def test_odd_sizes_get_one_more_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, video_format(path), rate=RATE, time_base=1 / RATE) as writer:
        writer.write(_smooth()[:91, :121], 0)
    (frame,) = read_video(path)
    assert frame.picture.shape == (92, 122, 3)
    assert np.abs(frame.picture[91].astype(int) - frame.picture[90]).mean() < 4.0


def test_unusable_files_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    for name in ("text.mp4", "missing.mp4"):
        with pytest.raises(ImageFileError, match="cannot be read as a video"):
            read_facts(tmp_path / name)
    with pytest.raises(OutputError, match=r"does not end in a video format"):
        video_format(Path("result.avi"))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPackageError) as caught:
        next(read_video(tmp_path / "text.mp4"))
    assert "pip install" in caught.value.remedy and "av" in caught.value.remedy


def test_endings() -> None:
    assert has_video_ending(Path("A.MOV")) and not has_video_ending(Path("a.gif"))
    assert [result_ending(Path(name)) for name in ("a.MKV", "a.avi")] == [".mkv", ".mp4"]
    assert picture(0).shape == (HEIGHT, WIDTH, 3)
