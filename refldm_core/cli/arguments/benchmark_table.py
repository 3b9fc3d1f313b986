"""Make the paper's table with one command: degrade a test set, restore it, judge it, and print the rows.

examples:
  refldm benchmark-table --dataset ffhq/images512x512 --references test_references.csv --output table
      Uses both degradations of the paper, up to 5 references, and the official model. table/table.md is the table.
      table/severe/report.html and table/moderate/report.html are the reports.
  accelerate launch -m refldm_core benchmark-table --dataset ffhq --references test.csv --output table --resume
      Distributes the faces to all GPUs and machines, and skips finished faces.
  refldm benchmark-table --dataset ffhq --references test.csv --output table --counts 0 1 2 3 4 5
      Makes one row for each number of references.
  refldm benchmark-table --synthetic 20 --model embedded --recognizer embedded --counts 0 1 3 --output table
      Runs everything without a download, on rendered people and with the small models that come with refldm.

The pictures of the test set are aligned crops. The command degrades them as `refldm degrade` does, with the paper's
ranges and a fixed seed, or takes the degraded pictures from --low. It restores each face alone, so the seconds are
those of one face. The table shows the median, which includes the encoding of the references. It also has rows with the
published numbers, which belong to the paper's own data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...evaluation.published import PUBLISHED
from .judging import add_judge_arguments
from .sampling import add_sampling_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", type=Path, metavar="FOLDER", help="folder of the true faces and their references")
    parser.add_argument(
        "--references",
        type=Path,
        metavar="CSV",
        help="CSV of the published layout that lists the references of each true face",
    )
    parser.add_argument(
        "--people", type=Path, metavar="CSV", help="CSV that names the person in each picture, if --references does not"
    )
    parser.add_argument(
        "--synthetic", type=int, metavar="N", help="render N people into the output folder, instead of a dataset"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for all files that the command writes"
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED), help="degradations (default: both)"
    )
    parser.add_argument(
        "--low",
        nargs="+",
        action="extend",
        default=[],
        metavar="KIND=FOLDER",
        help="folder of pictures that are degraded already",
    )
    parser.add_argument(
        "--degradation-seed", type=int, default=2024, metavar="S", help="seed of the degraded pictures (default: 2024)"
    )
    parser.add_argument(
        "--counts",
        nargs="+",
        type=int,
        default=[5],
        metavar="N",
        help="largest number of references to restore with; each number gives a row; 0 is without references (default: "
        "5)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N faces")
    parser.add_argument("--overwrite", action="store_true", help="do everything again")
    parser.add_argument("--resume", action="store_true", help="skip finished pictures")
    add_sampling_arguments(parser)
    add_judge_arguments(parser)
