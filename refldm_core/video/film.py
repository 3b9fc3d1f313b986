"""Restoration of a whole video file: find the faces, restore them in segments, join these with the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..face.errors import FaceError
from ..files import atomic_write
from .endings import VideoFormat, video_format
from .joining import join
from .parts import Parts
from .reading import VideoFacts, read_facts, read_video
from .restoration import MaskCrops, RestoreCrops, VideoSettings, restore_segments
from .search import DetectedFaces, FaceFinder, SelectFaces, faces_to_restore, search
from .segments import SegmentFiles


@dataclass(frozen=True)
class VideoReport:
    """What became of a video.

    Attributes:
        frames: number of its frames.
        detected: number of faces that were found in all frames.
        faces: number of faces that were restored in all frames.
        tracks: number of different faces that were restored, each followed through its frames.
        people: people who were recognized among them.
        remarks: what could not be kept.
    """

    frames: int
    detected: int
    faces: int
    tracks: int
    people: Sequence[str]
    remarks: Sequence[str]


OnProgress = Callable[[str, int, int | None], object]
"""Called with the stage, the number of frames that are done, and their number, or None where it is unknown."""
SEARCHING, RESTORING = "finding faces", "restoring"
"""The stages of `OnProgress`."""


def restore_video(
    source: Path,
    target: Path,
    parts: Parts,
    finder: FaceFinder,
    restore_crops: RestoreCrops,
    *,
    crop_size: int,
    settings: VideoSettings,
    select: SelectFaces,
    people: Sequence[str] = (),
    mask_crops: MaskCrops | None = None,
    allow_no_faces: bool = False,
    remedy_without_faces: str = "choose a video that shows the person, or look for less certain faces",
    keep_location: bool = False,
    on_progress: OnProgress = lambda stage, done, total: None,
) -> VideoReport:
    """Restore the faces of a video file into another one, with its sound.

    Args:
        source: the video.
        target: the file to write. Its ending is the kind of file.
        parts: the folder of what is restored so far. It is removed in the end.
        finder: finds and recognizes the faces.
        restore_crops, crop_size, settings, mask_crops: see `restore_segments`.
        select, people: see `faces_to_restore`.
        allow_no_faces: copy a video without a face to restore, instead of raising an error.
        remedy_without_faces: what that error proposes.
        keep_location: keep the place of the recording, if the file says it.
        on_progress: called after each frame. An exception stops the work, and the parts stay.

    Raises:
        FaceError: there is no face to restore.
        ImageFileError: the video cannot be read.
        OutputError: a file cannot be written.
        MissingPackageError: PyAV is not installed, or lacks an encoder.
    """
    kind, facts = video_format(target), read_facts(source)
    detected = parts.load_faces()
    if not detected.is_complete:

        def show_search() -> None:
            on_progress(SEARCHING, detected.frames, facts.frames)

        search(read_video(source, detected.frames), finder, detected, parts.save_faces, show_search)
    faces = faces_to_restore(detected.faces, facts.size, select, deviation=settings.landmark_averaging, people=people)
    if not faces and not allow_no_faces:
        raise _no_face(source, detected, remedy_without_faces)
    segments = SegmentFiles(parts, kind, facts, detected.frames)
    done = min(segments.first_frame, detected.frames)

    def show_frame() -> None:
        nonlocal done
        done += 1
        on_progress(RESTORING, done, detected.frames)

    if done < detected.frames:
        frames = read_video(source, done)
        restore_segments(
            frames,
            faces,
            segments,
            restore_crops,
            crop_size=crop_size,
            settings=settings,
            mask_crops=mask_crops,
            on_frame=show_frame,
        )
    paths = [parts.segment(number) for number in range(parts.finished())]
    with atomic_write(target) as temporary:
        remarks = join(paths, source, temporary, kind, keep_location=keep_location)
    parts.remove()
    restored = [face for in_frame in faces.values() for face in in_frame]
    return VideoReport(
        frames=detected.frames,
        detected=len(detected.faces),
        faces=len(restored),
        tracks=len({face.track for face in restored}),
        people=sorted({face.person for face in restored if face.person is not None}),
        remarks=[*remarks_on(facts, kind), *remarks],
    )


def remarks_on(facts: VideoFacts, kind: VideoFormat) -> list[str]:
    """Return remarks on what a restored video cannot keep of the original."""
    remarks: list[str] = []
    if facts.is_deep:
        remarks.append("the result has 8 bits a channel, and the video has more")
    if facts.colors.is_hdr:
        remarks.append("the video is HDR, for which the models were not trained: convert it to SDR for better results")
    if facts.is_interlaced:
        remarks.append("the video is interlaced: deinterlace it first for better results")
    if facts.others:
        remarks.append(f"{facts.others} further streams, such as subtitles, are left out")
    if kind.container == "webm" and facts.pixel_aspect != 1:
        remarks.append("WebM has square pixels, and the video has others: choose .mp4 or .mkv to keep its proportions")
    if any(side % 2 for side in facts.size):
        remarks.append("the result has one more row or column, since video needs even sizes")
    return remarks


def _no_face(source: Path, detected: DetectedFaces, remedy: str) -> FaceError:
    return FaceError(
        f"No face was found in the {detected.frames} frames of {source}."
        if not detected.faces
        else f"None of the {len(detected.faces)} faces in {source} is one to restore.",
        expected="a video that shows the person's face",
        remedy=remedy,
    )
