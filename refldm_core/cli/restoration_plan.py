"""The plan of `refldm restore`: settings, people and pictures, checked before the minutes of loading and sampling."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..images import load_image
from ..pipeline import SamplingSettings
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
    jobs = find_jobs(args.inputs, args.output, overwrite=args.overwrite, resume=args.resume, references=references)
    for path in [*(job.source for job in jobs if job.named), *people.get(UNNAMED_PERSON, [])]:
        load_image(path)  # raises for a file that is no picture
    _remark_on_references(people, output)
    return Plan(settings, people, jobs)


def _checked_settings(args: argparse.Namespace) -> SamplingSettings:
    settings = sampling_settings(args)
    faces.photo_settings(args, settings)  # raises for options of the face stages that cannot be used
    return settings


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
