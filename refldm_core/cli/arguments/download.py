"""Download model files. Interrupted downloads are resumed, files are checked by SHA-256, licenses are shown first.

examples:
  refldm download
      Downloads the official ReF-LDM weights (refldm.ckpt and vqgan.ckpt), for non-commercial research use only.
  refldm download retinaface_resnet50 insightface
      Downloads a face detector, and the recognizer that tells people apart.
  refldm download model --folder ComfyUI/models/refldm --accept-license
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...checkpoints.face_files import DOWNLOADABLE
from .model import MODEL_FOLDER

MODEL = "model"
"""Name of the official ReF-LDM weights."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        choices=[[], MODEL, *DOWNLOADABLE],  # argparse also checks the empty default
        help=f"{MODEL} (the default), {', '.join(DOWNLOADABLE)}",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=MODEL_FOLDER,
        metavar="DIR",
        help=f"folder of the files (default: {MODEL_FOLDER})",
    )
    parser.add_argument("--accept-license", action="store_true", help="accept the licenses without being asked")
