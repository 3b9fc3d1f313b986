"""Restore faces in photos with references of the same person.

examples:
  refldm restore photo.jpg --reference a.jpg b.jpg c.jpg --output restored.png
      Finds the face in the photo and in the references, restores it, and puts it back.
  refldm restore album/ --person anna=photos/anna --person ben=photos/ben --output restored/ --resume
      Every photo of a folder; each face gets its own person's references. What is done is left out. Needs a
      recognizer: `refldm download insightface`.
  refldm restore "scans/*.tif" --reference me/*.jpg --output restored/ --preset balanced
      Fewer steps. Patterns in quotes are expanded here, also on Windows.
  refldm restore face.png --reference a.png b.png --output restored.png --aligned
      The pictures are aligned face crops, as in FFHQ; they are resized to the model's size.
  accelerate launch -m refldm_core restore archive/ --reference me/*.jpg --output restored/ --resume
      Shares the photos out to all GPUs and machines.

The default preset is the published settings; with --aligned and --dtype float32 the result is the published script's.
A reference is a good, sharp photo of the same person; 2 to 5 are best, the model was trained with up to 5. Without any,
faces are restored without knowing the person, and without guidance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import OutputError, ReFLDMError, SettingsError
from ..files import make_folder
from ..images import load_image, to_tensor
from ..model.compiling import is_compiled
from ..photo_files import Photo, load_photo, require_format, save_photo
from ..photos import Person, PhotoRestorer, PhotoSettings
from ..pipeline import Restorer, SamplingSettings
from ..progress import OnStep
from . import faces
from .cautions import warn
from .inputs import Job, find_jobs, pictures_of
from .memory import explained_memory_errors
from .output import Output
from .people import TRAINED_REFERENCES, FaceTools, aligned_person, gather_people, named_folders
from .sampling import (
    add_sampling_arguments,
    encoding_stage,
    load_named_model,
    restoring_stage,
    sampling_device,
    sampling_settings,
)

_ONLY = "reference"
"""Name of the person whose photos --reference gives."""

Restore = Callable[[Photo, OnStep], tuple[Tensor, dict[str, Any]]]
"""A photo and the progress callback -> the result (3, height, width) in the photo's color space, and a report of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder or pattern")
    parser.add_argument(
        "--reference",
        nargs="+",
        action="extend",
        default=[],
        metavar="R",
        help="good photos of the person: files, folders or patterns",
    )
    parser.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="photos of one of several people; repeat it for each",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="OUT", help="file for one picture, existing folder for several"
    )
    parser.add_argument("--aligned", action="store_true", help="the pictures are aligned face crops already")
    parser.add_argument(
        "--keep-location", action="store_true", help="keep where a photo was taken (EXIF GPS), which is left out"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--resume", action="store_true", help="leave out pictures whose results exist")
    add_sampling_arguments(parser)
    faces.add_arguments(parser)


def run(args: argparse.Namespace, output: Output) -> int:
    # What is wrong with the arguments is found before the minutes of loading and sampling.
    settings = _settings(args)
    people = _people(args)
    references = [path for paths in people.values() for path in paths]
    jobs = find_jobs(args.inputs, args.output, overwrite=args.overwrite, resume=args.resume, references=references)
    _require_pictures([*(job.source for job in jobs if job.named), *people.get(_ONLY, [])])
    _remark_on_references(people, output)
    if not jobs:
        output.result("Everything is done already.", {"restored": [], "failed": []})
        return 0

    device = sampling_device(args)
    tools = None if args.aligned else faces.load_tools(args, device)
    model = load_named_model(args, device, output)
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    warning = warn(output, {"model": model.metadata, **(tools.metadata if tools else {})})
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with explained_memory_errors(encoding_stage(args, restorer)):
        gathered = _gather(args, restorer, tools, people, output)
    if tools is None:
        restore = _aligned(restorer, gathered, settings, args.seed)
    else:
        restore = _whole_photos(restorer, gathered, tools, faces.photo_settings(args, settings))
    for job in output.each(jobs, "pictures", len(jobs)):
        try:
            with explained_memory_errors(restoring_stage(args, restorer)):
                done.append(_restore_one(args, job, restore, output))
        except ReFLDMError as error:
            if len(jobs) == 1 or isinstance(error, OutputError):  # a full disk would fail all the others too
                raise
            failed.append({"input": str(job.source), "problem": error.problem, "remedy": error.remedy})
            output.failure(str(job.source), error)
    output.result(
        "\n".join([*(entry["output"] for entry in done), *_summary(len(done), failed)]),
        {
            "restored": done,
            "failed": failed,
            "warning": warning,
            "references": {name: [str(path) for path in paths] for name, paths in people.items()},
            "reference_encoding": args.reference_encoding,
            "preset": args.preset,
            "settings": {**settings.as_json(), "seed": args.seed},
            "model": {"fingerprint": model.unet.fingerprint, "weights": model.weights},
            "dtype": str(restorer.dtype).removeprefix("torch."),
            "device": str(restorer.device),
            "compiled": is_compiled(restorer.unet),
        },
    )
    return 2 if failed else 0


def _restore_one(args: argparse.Namespace, job: Job, restore: Restore, output: Output) -> dict[str, Any]:
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


def _summary(done: int, failed: Sequence[dict[str, str]]) -> list[str]:
    if not failed:
        return []
    return [f"{done} restored, {len(failed)} failed:", *(f"  {f['input']}: {f['problem']}" for f in failed)]


def _gather(
    args: argparse.Namespace,
    restorer: Restorer,
    tools: FaceTools | None,
    people: dict[str, list[Path]],
    output: Output,
) -> dict[str, Person]:
    encoding = args.reference_encoding
    if tools is None:
        return {name: aligned_person(restorer, photos, encoding) for name, photos in people.items()}
    return gather_people(people, restorer, tools, output, count=args.max_references, encoding=encoding)


def _aligned(restorer: Restorer, people: dict[str, Person], settings: SamplingSettings, seed: int) -> Restore:
    references = people[_ONLY].references if people else None

    def restore(photo: Photo, on_step: OnStep) -> tuple[Tensor, dict[str, Any]]:
        crop = to_tensor(photo.decoded.srgb(), restorer.spec.crop_size).unsqueeze(0)
        restored = restorer.restore(crop, references, [seed], settings, on_step).cpu()
        return photo.from_srgb(restored)[0], {}

    return restore


def _whole_photos(restorer: Restorer, people: dict[str, Person], tools: FaceTools, settings: PhotoSettings) -> Restore:
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
        return restored.image, {"found": restored.found, "faces": described}

    return restore


def _settings(args: argparse.Namespace) -> SamplingSettings:
    settings = sampling_settings(args)
    faces.photo_settings(args, settings)
    return settings


def _people(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Photos of each person; of the only one, who needs no name, under `_ONLY`."""
    if args.person and (args.reference or args.aligned):
        raise SettingsError(
            "--person cannot go with " + ("--reference." if args.reference else "--aligned."),
            expected="--person for several people in whole photos, --reference for one",
            remedy="leave out one of them",
        )
    if args.person:
        return named_folders(args.person)
    photos = [path for text in args.reference for path in pictures_of(text)]
    return {_ONLY: photos} if photos else {}


def _require_pictures(paths: Sequence[Path]) -> None:
    for path in paths:
        load_image(path)


def _remark_on_references(people: dict[str, list[Path]], output: Output) -> None:
    count = len(people.get(_ONLY, []))
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
