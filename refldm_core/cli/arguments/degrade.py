"""Make low-quality versions of good pictures, as restorers are trained and tested on.

examples:
  refldm degrade faces/ --output low --kind severe
      Blurs, shrinks and compresses every picture of a folder, and adds noise, as in the paper's harder test set. Each
      picture gets its own strengths, which low/degradations.csv lists.
  refldm degrade "test/*.png" --output low --seed 7
      Degrades as in the milder test set, with other random numbers. The command expands patterns in quotes, also on
      Windows.
  refldm degrade faces/ --output low --kind severe --resume
      Skips pictures whose results exist.

The random numbers of a picture come from --seed and the picture's name, which includes its subfolder of an input
folder. They do not depend on the other pictures. The strengths are for aligned crops of 512 pixels. For another size,
blur and shrinking are scaled with the shorter side of the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from ...data.degradation_kinds import Kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder or pattern")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; it is made if it does not exist",
    )
    parser.add_argument(
        "--kind",
        choices=get_args(Kind),
        default="moderate",
        help="strength: one of the paper's test sets, or the range of its training (default: moderate)",
    )
    parser.add_argument(
        "--seed", type=int, default=2024, metavar="S", help="seed of the random numbers (default: 2024)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--resume", action="store_true", help="skip pictures whose results exist")
