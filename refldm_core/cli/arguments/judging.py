"""The options for the metrics and the recognizers that judge restored faces."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...checkpoints.face_files import DETECTOR_FILES
from ...evaluation.metric_list import METRICS
from .model import DEVICES, MODEL_FOLDER


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the metrics and recognizers. `benchmark-table` has the same options."""
    judging = parser.add_argument_group("judging")
    judging.add_argument(
        "--metrics",
        nargs="+",
        choices=[name for name in METRICS if not name.startswith("references")],
        default=list(METRICS),
        metavar="M",
        help="metrics out of %(choices)s (default: all)",
    )
    judging.add_argument(
        "--recognizer",
        type=Path,
        metavar="FILE",
        help='recognizer for the IDS: an ONNX file, or the folder of an insightface pack; "embedded" comes with refldm '
        f'and knows rendered people; "dlib" is dlib\'s (default: {DETECTOR_FILES["insightface"]} in {MODEL_FOLDER}, '
        "if it exists)",
    )
    judging.add_argument(
        "--second-recognizer",
        type=Path,
        metavar="FILE",
        help="recognizer that the restorer was not trained with, named as for --recognizer; training against the first "
        "recognizer can raise its IDS without more likeness",
    )
    judging.add_argument(
        "--judge-device", choices=DEVICES, default="cpu", help="device of LPIPS, NIQE, MUSIQ and FID (default: cpu)"
    )
