"""Options that several commands share: the model, its device and its number type."""

from __future__ import annotations

import argparse
from pathlib import Path

DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")

MODEL_FOLDER = Path.home() / ".cache" / "refldm"
"""Folder in which `refldm download` stores the official files, and in which other commands look for them."""


def add_model_arguments(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    parser.add_argument(
        "--vqgan", type=Path, metavar="FILE", help="file of the first stage, if the model's file does not hold it"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML of the published layout, for a model whose head size, latent size or noise differs from the "
        "released model's, if its file does not contain these values",
    )
