"""Judge restored faces against the true ones: identity, fidelity and quality, with intervals, tests and a report.

examples:
  refldm evaluate --predictions restored --ground-truth ffhq --references test_references.csv --output judged
      Judges every target of the CSV. judged/report.html shows tables, plots, and the best and worst pictures.
      judged/per_image.csv has every number.
  refldm evaluate --predictions ours=restored codeformer=cf input=low --ground-truth ffhq --references test.csv
      --output judged --second-recognizer glintr100.onnx
      Compares each method with the first one, person by person. The degraded pictures can be one of the methods.
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --second-recognizer dlib
      Adds dlib's recognizer as a second opinion. Its similarity is 1 - Euclidean distance.
      Install it with pip install -e ".[judge]".
  refldm evaluate --predictions restored --ground-truth ffhq --output judged --metrics psnr ssim lpips --resume
      Continues an interrupted evaluation. Files that have changed are judged again.
  refldm evaluate --predictions ours=restored --ground-truth faces --output judged --seconds ours=restored.json
      Adds the seconds for each face, from the output of `refldm restore --json` or as a number.
  refldm evaluate --video ours=restored.mp4 other=other.mp4 --truth true.mp4 --output judged
      Measures the flicker of every face in restored videos. judged/report.md shows the means, judged/per_face.csv every
      face.

A prediction belongs to the true picture of the same name, with any ending, and must have the same size. Pictures are
aligned crops as in FFHQ. The report names missing, extra, damaged and double pictures. All other pictures are judged,
and the exit code is then 2. LPIPS, NIQE, MUSIQ and FID download their weights at the first use. Without a network,
their columns say so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...checkpoints.face_files import DETECTOR_FILES
from .judging import add_judge_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions",
        nargs="+",
        action="extend",
        metavar="[NAME=]FOLDER",
        help="folders of restored faces, one for each method; needs --ground-truth",
    )
    parser.add_argument(
        "--baseline",
        default="",
        metavar="NAME",
        help="method that all other methods are compared with (default: the first)",
    )
    parser.add_argument("--ground-truth", type=Path, metavar="FOLDER", help="folder of the true faces")
    parser.add_argument(
        "--references",
        type=Path,
        metavar="CSV",
        help="CSV of the published layout (gt_image, ref_image) that lists the references of each true face; only its "
        "targets are judged, and all pictures that it connects show one person",
    )
    parser.add_argument(
        "--reference-folder", type=Path, metavar="FOLDER", help="folder of the references (default: --ground-truth)"
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="CSV",
        help="CSV that names the person in each picture (columns image, person), if --references does not",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for scores and reports")
    parser.add_argument(
        "--seconds",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=X",
        help="seconds for each face: a number, a JSON file of `refldm restore --json`, or a CSV with the column "
        "seconds",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation")
    parser.add_argument("--resume", action="store_true", help="continue an earlier evaluation")
    add_judge_arguments(parser)
    videos = parser.add_argument_group("videos")
    videos.add_argument(
        "--video",
        nargs="+",
        action="extend",
        metavar="[NAME=]FILE",
        help="restored videos instead of --predictions, one for each method; of the options above, only --output, "
        "--overwrite, --recognizer and --judge-device apply",
    )
    videos.add_argument(
        "--truth", type=Path, metavar="FILE", help="true video, with the same frames and size as each --video"
    )
    videos.add_argument(
        "--detector",
        choices=tuple(DETECTOR_FILES),
        default="retinaface_resnet50",
        help="detector of the faces in the true video; embedded comes with refldm and finds rendered faces (default: "
        "retinaface_resnet50)",
    )
