"""The work of `refldm dataset`. Its options are in `arguments/dataset.py`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from ..checkpoints.faces import DETECTOR_FILES, load_recognizer
from ..data.builder import BuildSettings, build_dataset
from ..data.ffhq_ref import Check, check_celeba_ref, check_ffhq_ref
from ..data.photo_reading import PhotoReader, ReadingSettings, file_hash
from ..data.splits import SplitSettings
from ..face.onnx_files import find_pack
from ..files import make_folder
from .cautions import warn
from .faces import face_networks_stage, load_detector_of, metadata_of, recognizer_path
from .inputs import pictures_below
from .memory import explained_memory_errors
from .options import choose_device
from .output import Output

_CHECK_FAILED = 2


def run(args: argparse.Namespace, output: Output) -> int:
    run_of: dict[str, Callable[[argparse.Namespace, Output], int]] = {
        "build": _build,
        "ffhq-ref": _check_ffhq,
        "celeba-ref": _check_celeba,
    }
    return run_of[args.work](args, output)


def _build(args: argparse.Namespace, output: Output) -> int:
    least, most = args.test_references
    splits = SplitSettings(
        same_person=args.same_person,
        near_duplicate=args.near_duplicate,
        validation=args.val,
        test=args.test,
        least_references=least,
        most_references=most,
        train_references=args.train_references,
        seed=args.seed,
    )
    photos = pictures_below(args.folder, args.output)
    device = torch.device("cpu") if args.aligned else choose_device(args.device)  # aligned crops need no detector
    with explained_memory_errors(face_networks_stage(device)):
        reader = _reader(args, device, output)
        report = build_dataset(photos, args.output, reader, BuildSettings(splits, args.seed), output.with_progress)
    lines = [*report.in_words(), f"{args.output / 'report.md'} says more."]
    output.result("\n".join(lines), report.as_json() | {"output": str(args.output)})
    return 0


def _reader(args: argparse.Namespace, device: torch.device, output: Output) -> PhotoReader:
    settings = ReadingSettings(args.aligned, args.crop_size, args.min_size, args.several)
    path = recognizer_path(args) or args.face_models / DETECTOR_FILES["insightface"]
    recognizer = load_recognizer(path)
    file = find_pack(path)[1] if path.is_dir() else path
    detector = None if args.aligned else load_detector_of(args, device)
    warn(output, metadata_of(detector, recognizer))
    search = [args.detector, args.threshold, args.smallest, "upright" if args.upright else None, args.search]
    search_settings = " ".join(str(setting) for setting in search if setting is not None)
    return PhotoReader(recognizer, detector, settings, (search_settings, f"{file.name} {file_hash(file)}"))


def _check_ffhq(args: argparse.Namespace, output: Output) -> int:
    check = check_ffhq_ref(args.folder, args.images)
    if args.output is not None:
        make_folder(args.output)
        check.write(args.output)
    return _print_check(check, output)


def _check_celeba(args: argparse.Namespace, output: Output) -> int:
    return _print_check(check_celeba_ref(args.folder, args.images, args.targets), output)


def _print_check(check: Check, output: Output) -> int:
    lines = [f"{split}: {size.images:,} images of {size.people:,} people" for split, size in check.sizes.items()]
    lines += [f"note: {note}" for note in check.notes]
    lines += [f"problem: {problem}" for problem in check.problems] or ["All as published."]
    output.result("\n".join(lines), check.as_json())
    return _CHECK_FAILED if check.problems else 0
