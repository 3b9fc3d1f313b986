"""Build a dataset of people and references from photos, or check a download of FFHQ-Ref or CelebA-Test-Ref.

examples:
  refldm dataset build photos --output mine
      The paper's construction: faces are found, aligned and embedded, who is less than 0.4 apart is one person, each
      person goes to training, validation or test, and references are listed the most different first. The same
      command goes on where it was interrupted, and takes in photos that were added since.
  refldm dataset build ffhq/images1024x1024 --output ffhq-mine --aligned --val 300 --test 150
      Pictures that are aligned crops already, so many people in each split.
  refldm dataset build photos --output mine --detector embedded --recognizer embedded --min-size 20
      With the models that come along, for rendered people.
  refldm dataset ffhq-ref FFHQ-Ref --images ffhq/images512x512 --output mapping
      Counts of the published files, and which pictures are missing; writes CSVs with the paths of the local pictures.
  refldm dataset celeba-ref CelebA-Test-Ref --images CelebAMask-HQ/CelebA-HQ-img
      The same for the other test set.

docs/dataset.md describes what is written. ffhq-ref and celeba-ref end with 2 where something is not as published.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from ..checkpoints.faces import DETECTOR_FILES, load_recognizer
from ..data.builder import BuildSettings, build_dataset
from ..data.ffhq_ref import Check, check_celeba_ref, check_ffhq_ref
from ..data.photo_reading import PhotoReader, ReadingSettings, file_hash
from ..data.splits import SplitSettings
from ..face.backends import find_pack
from ..files import make_folder
from .cautions import warn
from .faces import add_detection_arguments, face_networks_stage, load_detector_of, metadata_of, recognizer_path
from .inputs import pictures_below
from .memory import explained_memory_errors
from .options import DEVICES, choose_device
from .output import Output

_CHECK_FAILED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="work", metavar="WORK", required=True)
    build = commands.add_parser("build", help="make a dataset of a folder of photos")
    ffhq = commands.add_parser("ffhq-ref", help="check FFHQ-Ref against a local FFHQ")
    celeba = commands.add_parser("celeba-ref", help="check CelebA-Test-Ref against a local CelebAMask-HQ")
    _add_build_arguments(build)
    for check, good in ((ffhq, "FFHQ's pictures (images1024x1024 or resized)"), (celeba, "CelebA-HQ-img")):
        check.add_argument("folder", type=Path, metavar="FOLDER", help="of the published files")
        check.add_argument("--images", type=Path, required=True, metavar="DIR", help=f"folder of {good}")
    ffhq.add_argument(
        "--output", type=Path, metavar="DIR", help="write references CSVs with paths below --images, for training"
    )
    celeba.add_argument(
        "--targets", type=Path, metavar="DIR", help="folder of the good targets (default: found in celeba_test_images)"
    )
    for command in (build, ffhq, celeba):  # as every command has them, also behind the second word
        command.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="errors and results only")
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")


def run(args: argparse.Namespace, output: Output) -> int:
    works: dict[str, Callable[[argparse.Namespace, Output], int]] = {
        "build": _build,
        "ffhq-ref": _check_ffhq,
        "celeba-ref": _check_celeba,
    }
    return works[args.work](args, output)


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    reading, splits = ReadingSettings(), SplitSettings()
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of photos, searched with its subfolders")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the dataset: new, or of an earlier build"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where faces are found (default: auto)")
    finding = parser.add_argument_group("faces")
    add_detection_arguments(finding, recognizer_is_needed=True)
    finding.add_argument(
        "--aligned", action="store_true", help="the photos are aligned crops as in FFHQ: find no faces"
    )
    finding.add_argument(
        "--crop-size", type=int, default=reading.crop_size, metavar="PX", help="of the crops (default: 512)"
    )
    finding.add_argument(
        "--min-size", type=float, default=reading.min_size, metavar="PX", help="least face (default: %(default)g)"
    )
    finding.add_argument(
        "--several",
        choices=("largest", "skip"),
        default=reading.several,
        help="of photos with several faces take the largest, or leave them out (default: largest)",
    )
    people = parser.add_argument_group("people and references")
    for name, default, what in (
        ("--same-person", splits.same_person, "distance (1 - cosine similarity) below which faces are one person's"),
        ("--near-duplicate", splits.near_duplicate, "distance up to which pictures cannot test each other"),
        ("--val", splits.validation, "people for validation: a share below 1, or a number"),
        ("--test", splits.test, "people for test, likewise"),
    ):
        people.add_argument(name, type=float, default=default, metavar="X", help=f"{what} (default: %(default)g)")
    people.add_argument(
        "--test-references",
        type=int,
        nargs=2,
        default=(splits.least_references, splits.most_references),
        metavar=("LEAST", "MOST"),
        help="of each test target (default: 2 9)",
    )
    people.add_argument(
        "--train-references",
        type=int,
        default=splits.train_references,
        metavar="MOST",
        help="of each target of training and validation (default: %(default)s)",
    )
    people.add_argument(
        "--seed",
        type=int,
        default=splits.seed,
        metavar="S",
        help="of the split and of the degradations (default: 2024)",
    )


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
    told = [*report.in_words(), f"{args.output / 'report.md'} says more."]
    output.result("\n".join(told), report.as_json() | {"output": str(args.output)})
    return 0


def _reader(args: argparse.Namespace, device: torch.device, output: Output) -> PhotoReader:
    settings = ReadingSettings(args.aligned, args.crop_size, args.min_size, args.several)
    path = recognizer_path(args) or args.face_models / DETECTOR_FILES["insightface"]
    recognizer = load_recognizer(path)
    file = find_pack(path)[1] if path.is_dir() else path
    detector = None if args.aligned else load_detector_of(args, device)
    warn(output, metadata_of(detector, recognizer))
    search = [args.detector, args.threshold, args.smallest, "upright" if args.upright else None]
    described = " ".join(str(word) for word in search if word is not None)
    return PhotoReader(recognizer, detector, settings, (described, f"{file.name} {file_hash(file)}"))


def _check_ffhq(args: argparse.Namespace, output: Output) -> int:
    check = check_ffhq_ref(args.folder, args.images)
    if args.output is not None:
        make_folder(args.output)
        check.write(args.output)
    return _tell(check, output)


def _check_celeba(args: argparse.Namespace, output: Output) -> int:
    return _tell(check_celeba_ref(args.folder, args.images, args.targets), output)


def _tell(check: Check, output: Output) -> int:
    lines = [f"{split}: {size.images:,} images of {size.people:,} people" for split, size in check.sizes.items()]
    lines += [f"note: {note}" for note in check.notes]
    lines += [f"problem: {problem}" for problem in check.problems] or ["All as published."]
    output.result("\n".join(lines), check.as_json())
    return _CHECK_FAILED if check.problems else 0
