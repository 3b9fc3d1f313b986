"""Render pictures of people who do not exist, to train on and to try things with.

examples:
  refldm synthesize --people 2000 --pictures 6 --size 128 --output people
      Renders twelve thousand aligned faces. The same command continues an interrupted run.
  refldm synthesize --people 100 --pictures 5 --size 256 --output unseen --first-person 100000
      Renders a hundred other people, for tests.
  refldm synthesize --people 2000 --scenes 800 --size 384 --output scenes
      Renders groups of up to six of these people, to train a face detector on.

The folder is a dataset in the published layout. A training config names it like this:
  corpus: {kind: folder, folder: people/images, references: people/reference_mapping/train_references.csv, size: 128}
people/attributes.jsonl has a line for each picture: landmarks, moles, iris color, glasses, beard, hair, age and pose.
The line of a group has the people, and the landmarks and the box of each face.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, required=True, metavar="N", help="number of people")
    content = parser.add_mutually_exclusive_group(required=True)
    content.add_argument("--pictures", type=int, metavar="K", help="render K pictures of each person")
    content.add_argument("--scenes", type=int, metavar="K", help="render K pictures of groups of these people")
    parser.add_argument(
        "--most-faces", type=int, default=6, metavar="F", help="most people of a group, with --scenes (default: 6)"
    )
    parser.add_argument("--size", type=int, default=256, metavar="S", help="pixels along each side (default: 256)")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the dataset; it is made if missing"
    )
    parser.add_argument(
        "--first-person", type=int, default=0, metavar="SEED", help="seed of the first person (default: 0)"
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="W", help="number of processes (default: one for each processor core)"
    )
