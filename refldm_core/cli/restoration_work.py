"""The work of `refldm restore`: load the networks, encode the references, restore every input of the plan."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..checkpoints.building import LoadedModel
from ..files import make_folder
from ..images import to_tensor
from ..photo_files import Photo, load_photo, require_format, save_photo
from ..photos import Person, PhotoRestorer, PhotoSettings
from ..pipeline import Restorer, SamplingSettings
from ..progress import OnStep
from . import faces
from .cautions import warn
from .inputs import Job
from .job_loop import run_jobs
from .memory import explained_memory_errors
from .output import Output
from .people import FaceTools, aligned_person, gather_people
from .restoration_plan import UNNAMED_PERSON, Plan
from .sampling import encoding_stage, load_named_model, restoring_stage, sampling_device
from .video_work import restore_video_job

RestorePhoto = Callable[[Photo, OnStep], tuple[Tensor, dict[str, Any]]]
"""A photo and the progress callback -> the result (3, height, width) in the photo's color space, and a report of it."""


@dataclass(frozen=True)
class Networks:
    """The networks that the command runs.

    Attributes:
        model: U-Net and first stage, with the description of their file.
        restorer: Restorer of aligned faces that runs `model`.
        tools: Face networks for whole photos; None with --aligned.
        warning: Warning about the kind of pictures that the networks know; None where there is nothing to warn of.
    """

    model: LoadedModel
    restorer: Restorer
    tools: FaceTools | None
    warning: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of the pictures.

    Attributes:
        restored: Report of each picture that was restored.
        failed: Input, problem and remedy of each picture that could not be restored.
    """

    restored: Sequence[dict[str, Any]]
    failed: Sequence[dict[str, str]]


def load_networks(args: argparse.Namespace, output: Output) -> Networks:
    """Load the networks that the arguments name.

    Raises:
        SettingsError: The device does not exist, or no model was named and none was downloaded.
        CheckpointError, MissingPackageError: A file or package is missing, or a file is damaged.
        NotEnoughMemoryError: The networks do not fit into memory.
    """
    device = sampling_device(args)
    tools = None if args.aligned else faces.load_tools(args, device)
    model = load_named_model(args, device, output)
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    warning = warn(output, {"model": model.metadata, **(tools.metadata if tools else {})})
    return Networks(model, restorer, tools, warning)


def restore_jobs(plan: Plan, networks: Networks, args: argparse.Namespace, output: Output) -> Outcome:
    """Restore the pictures of the plan. Of several pictures, one that fails is reported and the next one follows.

    Raises:
        ReFLDMError: The only picture fails, the references cannot be used, or a result cannot be written.
    """
    with explained_memory_errors(encoding_stage(args, networks.restorer)):
        people = _encode_people(plan, networks, args, output)
    restore_photo = _restoring_function(plan, networks, people, args)

    def restore_explained(job: Job) -> dict[str, Any]:
        with explained_memory_errors(restoring_stage(args, networks.restorer)):
            if job.is_video:
                return _restore_video(job, plan, networks, people=people, args=args, output=output)
            return _restore_job(args, job, restore_photo, output)

    restored: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    run_jobs(plan.jobs, restore_explained, output, done=restored, failed=failed)
    return Outcome(restored, failed)


def _restoring_function(
    plan: Plan, networks: Networks, people: dict[str, Person], args: argparse.Namespace
) -> RestorePhoto:
    """Return the function that restores one photo with the references of the people."""
    if networks.tools is None:
        return _aligned_crops(networks.restorer, people, plan.settings, args.seed)
    return _whole_photos(networks.restorer, people, networks.tools, faces.photo_settings(args, plan.settings))


def _encode_people(plan: Plan, networks: Networks, args: argparse.Namespace, output: Output) -> dict[str, Person]:
    restorer, tools, encoding = networks.restorer, networks.tools, args.reference_encoding
    if tools is None:
        return {name: aligned_person(restorer, photos, encoding) for name, photos in plan.people.items()}
    return gather_people(plan.people, restorer, tools, output, count=args.max_references, encoding=encoding)


def _aligned_crops(
    restorer: Restorer, people: dict[str, Person], settings: SamplingSettings, seed: int
) -> RestorePhoto:
    references = people[UNNAMED_PERSON].references if people else None

    def restore(photo: Photo, on_step: OnStep) -> tuple[Tensor, dict[str, Any]]:
        crop = to_tensor(photo.decoded.srgb(), restorer.spec.crop_size).unsqueeze(0)
        restored = restorer.restore(crop, references, [seed], settings, on_step).cpu()
        return photo.from_srgb(restored)[0], {}

    return restore


def _whole_photos(
    restorer: Restorer, people: dict[str, Person], tools: FaceTools, settings: PhotoSettings
) -> RestorePhoto:
    photos = PhotoRestorer(
        restorer,
        tools.detector,
        people,
        # Without people there is nobody to recognize: every chosen face is restored as a stranger's.
        recognizer=tools.recognizer if people else None,
        parser=tools.parser,
        settings=settings,
    )

    def restore(photo: Photo, on_step: OnStep) -> tuple[Tensor, dict[str, Any]]:
        restored = photos.restore(photo.srgb(), on_step, photo.canvas())
        described = [{"box": [round(v, 1) for v in face.box], "person": face.person} for face in restored.faces]
        return restored.image, {"found": restored.detected_count, "faces": described}

    return restore


def _restore_video(
    job: Job, plan: Plan, networks: Networks, *, people: dict[str, Person], args: argparse.Namespace, output: Output
) -> dict[str, Any]:
    if networks.tools is None:
        raise ValueError("the plan refuses videos with --aligned")
    return restore_video_job(
        job,
        args,
        output,
        model=networks.model,
        restorer=networks.restorer,
        tools=networks.tools,
        people=people,
        photos=plan.people,
        settings=faces.photo_settings(args, plan.settings),
    )


def _restore_job(args: argparse.Namespace, job: Job, restore: RestorePhoto, output: Output) -> dict[str, Any]:
    """Restore one picture into its file, and return the report of it."""
    start = time.perf_counter()
    photo = load_photo(job.source, keep_location=args.keep_location)
    if args.aligned:
        photo = photo.for_crop()
    notes = [*photo.notes, *require_format(photo, job.target)]
    for note in notes:
        output.remark(f"{job.source}: {note}.")
    with output.steps(job.source.name) as on_step:
        result, report = restore(photo, on_step)
    make_folder(job.target.parent)  # a subfolder of an input folder
    save_photo(photo, result, job.target, truncated=args.aligned)
    seconds = round(time.perf_counter() - start, 3)
    return {"input": str(job.source), "output": str(job.target), "seconds": seconds, "notes": notes, **report}
