"""The work of `refldm restore` on one video."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoints.building import LoadedModel
from ..face.tracking import face_seed
from ..face.types import Face
from ..files import make_folder
from ..photos import Person, PhotoSettings
from ..pipeline import Restorer
from ..video.film import OnProgress, restore_video
from ..video.parts import Parts, parts_folder
from ..video.search import FaceFinder
from . import faces
from .inputs import Job
from .output import Output
from .people import FaceTools

_MEGABYTE = 2**20
_NO_FACE = "lower --threshold, --match or --min-size, restore strangers too, or add --skip-empty to copy the video"


def restore_video_job(
    job: Job,
    args: argparse.Namespace,
    output: Output,
    *,
    model: LoadedModel,
    restorer: Restorer,
    tools: FaceTools,
    people: Mapping[str, Person],
    photos: Mapping[str, Sequence[Path]],
    settings: PhotoSettings,
) -> dict[str, Any]:
    """Restore one video into its file, and return the report of it.

    Args:
        job: the video.
        args, output: arguments and output of the command.
        model, restorer: the model.
        tools: the face networks.
        people: name -> person.
        photos: name -> files of the person's photos.
        settings: settings of the face stages.

    Raises:
        KeyboardInterrupt: the user has interrupted the work. A remark says how to go on.
        ReFLDMError: see `restore_video`.
    """
    start = time.perf_counter()
    make_folder(job.target.parent)  # a subfolder of an input folder
    record = _record(job, args, model=model, restorer=restorer, photos=photos, settings=settings)
    parts = Parts(parts_folder(job.target), record, resume=args.resume)
    # Without people there is nobody to recognize, and every face is restored as a stranger's. Photos do the same.
    recognizer = tools.recognizer if people else None
    finder = FaceFinder(
        tools.detector,
        recognizer,
        {name: person.centroid for name, person in people.items() if person.centroid is not None},
        settings.threshold,
        settings.repeats,
        only_person=None if recognizer else next(iter(people), None),
    )
    parser = tools.parser
    try:
        with _bars(output, job.source.name) as on_progress:
            report = restore_video(
                job.source,
                job.target,
                parts,
                finder,
                _restoring_crops(restorer, people, settings),
                crop_size=restorer.spec.crop_size,
                settings=faces.video_settings(args, settings),
                select=replace(settings, when_empty="pass").select,
                people=list(people) if recognizer and settings.strangers == "leave" else (),
                mask_crops=None if parser is None else parser.mask,
                allow_no_faces=args.skip_empty,
                remedy_without_faces=_NO_FACE,
                keep_location=args.keep_location,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        output.remark(f"{parts.folder} keeps what was restored. The same command with --resume goes on.")
        raise
    for remark in report.remarks:
        output.remark(f"{job.source}: {remark}.")
    seconds = time.perf_counter() - start
    return {
        "input": str(job.source),
        "output": str(job.target),
        "seconds": round(seconds, 3),
        "notes": list(report.remarks),
        "found": report.detected,
        "frames": report.frames,
        "faces": report.faces,
        "tracks": report.tracks,
        "people": list(report.people),
        "fps": round(report.frames / seconds, 3),
    }


def _restoring_crops(
    restorer: Restorer, people: Mapping[str, Person], settings: PhotoSettings
) -> Callable[[Tensor, Sequence[Face]], Tensor]:
    """Return the function that restores crops, each with the references of its person and the noise of its track."""

    def restore(crops: Tensor, tracked: Sequence[Face]) -> Tensor:
        references = [None if face.person is None else people[face.person].references for face in tracked]
        seeds = [face_seed(settings.seed, face, 0) for face in tracked]
        return restorer.restore(crops, references, seeds, settings.sampling)

    return restore


@contextmanager
def _bars(output: Output, label: str) -> Generator[OnProgress, None, None]:
    """Show a progress bar for each stage. Give the callback that moves it."""
    bars: dict[str, Any] = {}

    def on_progress(stage: str, done: int, total: int | None) -> None:
        if stage not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[stage] = output.bar(f"{label}: {stage}", total, unit="frame", initial=done - 1)
        bars[stage].update(1)

    try:
        yield on_progress
    finally:
        for bar in bars.values():
            bar.close()


def _record(
    job: Job,
    args: argparse.Namespace,
    *,
    model: LoadedModel,
    restorer: Restorer,
    photos: Mapping[str, Sequence[Path]],
    settings: PhotoSettings,
) -> dict[str, Any]:
    """Return everything that the result depends on, to compare it when the restoration goes on."""
    video = faces.video_settings(args, settings)
    recognizer = faces.recognizer_path(args)
    return {
        "video": _fingerprint(job.source),
        "--output": job.target.suffix.lower(),
        "model": model.unet.fingerprint,
        "--dtype": str(restorer.dtype).removeprefix("torch."),
        "references": {name: [_fingerprint(path) for path in paths] for name, paths in photos.items()},
        "--reference-encoding": args.reference_encoding,
        "--max-references": args.max_references,
        "sampling": settings.sampling.as_json(),
        "--seed": settings.seed,
        "--detector": args.detector,
        "detection": [args.threshold, args.smallest, args.upright],
        "--recognizer": None if recognizer is None else recognizer.name,
        "--parser": args.parser,
        "choice of faces": [settings.order, settings.indices, settings.count, settings.min_size, settings.min_score],
        "matching": [settings.threshold, settings.repeats, settings.strangers],
        "pasting": asdict(settings.paste),
        "--steadying": video.steadying,
        "--landmark-averaging": video.landmark_averaging,
        "--batch": video.batch,
    }


def _fingerprint(path: Path) -> str:
    """Return a text that differs for another file: the size, and the hash of the first and last megabytes."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(file.read(_MEGABYTE))
        file.seek(max(0, size - _MEGABYTE))
        digest.update(file.read(_MEGABYTE))
    return f"{size} {digest.hexdigest()}"
