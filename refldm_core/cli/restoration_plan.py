"""The plan of `refldm restore`: settings, people and pictures, checked before the minutes of loading and sampling."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..images import load_image
from ..pipeline import SamplingSettings
from ..video.endings import is_video
from ..video.parts import require_no_parts
from ..video.reading import read_facts
from . import faces
from .inputs import Job, find_jobs, pictures_of
from .output import Output
from .people import TRAINED_REFERENCES, named_folders
from .sampling import sampling_settings

UNNAMED_PERSON = "reference"
"""Name in reports of the person whose photos --reference gives."""


@dataclass(frozen=True)
class Plan:
    """What the command restores, and with which references.

    Attributes:
        settings: Settings of the sampler.
        people: Name of each person -> files of the reference photos. Empty without references.
        jobs: Pictures of this process that remain to be restored.
    """

    settings: SamplingSettings
    people: Mapping[str, Sequence[Path]]
    jobs: Sequence[Job]


def plan_restoration(args: argparse.Namespace, output: Output) -> Plan:
    """Read the arguments and find the pictures.

    Raises:
        SettingsError: An option has a value that cannot be used, or two options exclude each other.
        CheckpointError: The embedded recognizer was named and is missing.
        ImageFileError: A picture that the user named cannot be read, or a folder has no pictures.
        OutputError: A result cannot be written, or would replace a file.
    """
    settings = _checked_settings(args)
    people = _people(args)
    references = [path for paths in people.values() for path in paths]
    jobs = find_jobs(
        args.inputs, args.output, overwrite=args.overwrite, resume=args.resume, references=references, videos=True
    )
    videos = [job for job in jobs if job.is_video]
    for path in [*(job.source for job in jobs if job.named and not job.is_video), *people.get(UNNAMED_PERSON, [])]:
        load_image(path)  # raises for a file that is no picture
    _require_usable(videos, args)
    _remark_on_references(people, output)
    _remark_on_videos(args.inputs, output)
    return Plan(settings, people, jobs)


def _checked_settings(args: argparse.Namespace) -> SamplingSettings:
    settings = sampling_settings(args)
    # These raise for options of the face stages that cannot be used.
    faces.video_settings(args, faces.photo_settings(args, settings))
    return settings


def _require_usable(videos: Sequence[Job], args: argparse.Namespace) -> None:
    """Check the videos before the minutes of loading.

    Raises:
        SettingsError: The inputs are aligned crops, and there is a video.
        ImageFileError: A video that the user named cannot be read.
        MissingPackageError: PyAV is not installed.
        OutputError: There is an unfinished restoration, and nothing says whether to go on with it.
    """
    if videos and args.aligned:
        raise SettingsError(
            f"{videos[0].source} is a video, and --aligned is for pictures of one face.",
            expected="pictures with --aligned, or a video without it",
            remedy="leave out --aligned",
        )
    for job in videos:
        if not (args.resume or args.overwrite):
            require_no_parts(job.target)
        if job.named:
            read_facts(job.source)


def _people(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Return the reference photos of each person, under `UNNAMED_PERSON` those of --reference."""
    if args.person and (args.reference or args.aligned):
        raise SettingsError(
            "--person cannot go with " + ("--reference." if args.reference else "--aligned."),
            expected="--person for several people in whole photos, --reference for one",
            remedy="leave out one of them",
        )
    if args.person:
        return named_folders(args.person)
    photos = [path for text in args.reference for path in pictures_of(text)]
    return {UNNAMED_PERSON: photos} if photos else {}


def _remark_on_videos(inputs: Sequence[str], output: Output) -> None:
    """Say which videos a folder has, since only pictures of a folder are restored."""
    for folder in (Path(text) for text in inputs):
        count = sum(is_video(path) for path in folder.rglob("*")) if folder.is_dir() else 0
        if count:
            output.remark(
                f"{count} video{'s' * (count != 1)} in {folder} {'are' if count != 1 else 'is'} left out: name a video "
                'itself to restore it, or a pattern such as "folder/*.mp4".'
            )


def _remark_on_references(people: Mapping[str, Sequence[Path]], output: Output) -> None:
    count = len(people.get(UNNAMED_PERSON, []))
    if not people:
        output.remark(
            "No references: faces are restored without knowing the person, and without guidance. "
            "Add --reference with photos of the same person to restore their likeness."
        )
    elif count > TRAINED_REFERENCES:
        output.remark(
            f"{count} references: the model was trained with up to {TRAINED_REFERENCES}; more take longer and "
            "rarely help."
        )
