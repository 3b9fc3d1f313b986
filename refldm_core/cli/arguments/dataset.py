"""Build a dataset of people and references from photos, or check a download of FFHQ-Ref or CelebA-Test-Ref.

examples:
  refldm dataset build photos --output mine
      Builds a dataset as the paper does. Faces are found, aligned and embedded. Faces with a distance below 0.4 show
      one person. Each person goes to training, validation or test. References are listed with the most different first.
      After an interruption, the same command goes on. It also reads photos that were added since.
  refldm dataset build ffhq/images1024x1024 --output ffhq-mine --aligned --val 300 --test 150
      Reads pictures that are aligned crops already, and puts 300 people into validation and 150 into test.
  refldm dataset build photos --output mine --detector embedded --recognizer embedded --min-size 20
      Uses the small models that come with refldm, for rendered people.
  refldm dataset ffhq-ref FFHQ-Ref --images ffhq/images512x512 --output mapping
      Counts the pictures of the published files, names missing pictures, and writes CSVs with the paths of the local
      pictures.
  refldm dataset celeba-ref CelebA-Test-Ref --images CelebAMask-HQ/CelebA-HQ-img
      Checks the other test set in the same way.

docs/dataset.md describes the files that are written. ffhq-ref and celeba-ref end with exit code 2 if anything differs
from the published data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...data.build_settings import ReadingSettings, SplitSettings
from .faces import add_detection_arguments
from .model import DEVICES
from .numbers import finite_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="work", metavar="WORK", required=True)
    build = commands.add_parser("build", help="make a dataset from a folder of photos")
    ffhq = commands.add_parser("ffhq-ref", help="check FFHQ-Ref against a local FFHQ")
    celeba = commands.add_parser("celeba-ref", help="check CelebA-Test-Ref against a local CelebAMask-HQ")
    _add_build_arguments(build)
    for check, pictures in ((ffhq, "FFHQ's pictures (images1024x1024 or resized)"), (celeba, "CelebA-HQ-img")):
        check.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the published files")
        check.add_argument("--images", type=Path, required=True, metavar="DIR", help=f"folder of {pictures}")
    ffhq.add_argument(
        "--output", type=Path, metavar="DIR", help="write references CSVs with paths below --images, for training"
    )
    celeba.add_argument(
        "--targets",
        type=Path,
        metavar="DIR",
        help="folder of the true targets (default: a folder in celeba_test_images)",
    )
    for command in (build, ffhq, celeba):  # options of every command, also after the second word
        command.add_argument(
            "--quiet", action="store_true", default=argparse.SUPPRESS, help="print errors and results only"
        )
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    reading, splits = ReadingSettings(), SplitSettings()
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of photos, searched with its subfolders")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the dataset: a new one, or that of an earlier build",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="device of the face detector (default: auto)")
    faces = parser.add_argument_group("faces")
    add_detection_arguments(faces, recognizer_is_needed=True)
    faces.add_argument(
        "--aligned", action="store_true", help="the photos are aligned crops as in FFHQ; skip face detection"
    )
    faces.add_argument(
        "--crop-size", type=int, default=reading.crop_size, metavar="PX", help="side of the crops (default: 512)"
    )
    faces.add_argument(
        "--min-size",
        type=finite_number,
        default=reading.min_size,
        metavar="PX",
        help="size of the smallest face to use (default: %(default)g)",
    )
    faces.add_argument(
        "--several",
        choices=("largest", "skip"),
        default=reading.several,
        help="in a photo with several faces, take the largest face, or skip the photo (default: largest)",
    )
    people = parser.add_argument_group("people and references")
    for name, default, meaning in (
        ("--same-person", splits.same_person, "distance (1 - cosine similarity) below which two faces show one person"),
        (
            "--near-duplicate",
            splits.near_duplicate,
            "distance up to which a picture cannot be a test reference of another",
        ),
        ("--val", splits.validation, "people for validation: a share below 1, or a number"),
        ("--test", splits.test, "people for test: a share below 1, or a number"),
    ):
        people.add_argument(
            name, type=finite_number, default=default, metavar="X", help=f"{meaning} (default: %(default)g)"
        )
    people.add_argument(
        "--test-references",
        type=int,
        nargs=2,
        default=(splits.least_references, splits.most_references),
        metavar=("LEAST", "MOST"),
        help="smallest and largest number of references of a test target (default: 2 9)",
    )
    people.add_argument(
        "--train-references",
        type=int,
        default=splits.train_references,
        metavar="MOST",
        help="largest number of references of a target for training or validation (default: %(default)s)",
    )
    people.add_argument(
        "--seed",
        type=int,
        default=splits.seed,
        metavar="S",
        help="seed of the split and of the degradations (default: 2024)",
    )
