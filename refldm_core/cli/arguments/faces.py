"""Options for finding, matching and pasting the faces of whole photos."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...checkpoints.face_files import DETECTOR_FILES, PARSER_FILES
from ...face.constants import SAME_PERSON
from .model import MODEL_FOLDER
from .numbers import finite_number

_ORDERS = ("largest", "middle", "left to right", "top to bottom", "confidence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, in three groups."""
    finding = parser.add_argument_group("finding faces in whole photos")
    add_detection_arguments(finding, recognizer_is_needed=False)
    finding.add_argument(
        "--min-size", type=finite_number, default=0.0, metavar="PX", help="do not restore faces smaller than this"
    )
    finding.add_argument(
        "--order", choices=_ORDERS, default="largest", help="order in which faces are numbered (default: largest)"
    )
    finding.add_argument(
        "--faces",
        metavar="LIST",
        help='numbers of the faces to restore, such as "0, 2-4", or "all" (default: every face that matches a person; '
        "with references but without a recognizer the first face)",
    )
    finding.add_argument(
        "--skip-empty", action="store_true", help="copy photos without a face instead of reporting an error"
    )
    matching = parser.add_argument_group("matching people")
    matching.add_argument(
        "--match",
        type=finite_number,
        default=SAME_PERSON,
        metavar="S",
        help=f"smallest similarity of a face to its person, -1 to 1 (default: {SAME_PERSON})",
    )
    matching.add_argument(
        "--strangers",
        choices=("leave", "restore"),
        default="leave",
        help="leave faces that match nobody unchanged, or restore them without references (default: leave)",
    )
    matching.add_argument("--repeats", action="store_true", help="allow a photo to show one person more than once")
    matching.add_argument(
        "--max-references",
        type=int,
        default=5,
        metavar="N",
        help="largest number of references of each person (default: 5)",
    )
    pasting = parser.add_argument_group("pasting faces")
    pasting.add_argument(
        "--parser", choices=tuple(PARSER_FILES), help="limit the change to face and hair with this face parser"
    )
    pasting.add_argument(
        "--feather", type=finite_number, default=0.1, help="width of the soft edge, 0 to 0.5 of the crop (default: 0.1)"
    )
    pasting.add_argument(
        "--color",
        "--colour",
        choices=("wavelet", "lab", "none"),
        default="wavelet",
        help="how to match the colors of the face to the photo (default: wavelet); --colour is the earlier name",
    )
    pasting.add_argument(
        "--blend", type=finite_number, default=1.0, help="opacity of the restored face, 0 to 1 (default: 1)"
    )
    pasting.add_argument("--upscale", type=finite_number, default=1.0, help="enlarge the photo, 1 to 8 (default: 1)")
    pasting.add_argument(
        "--batch", type=int, metavar="N", help="number of faces to restore together (default: 1, in videos 4)"
    )


def add_detection_arguments(
    group: argparse._ActionsContainer,  # pyright: ignore[reportPrivateUsage]
    *,
    recognizer_is_needed: bool,
) -> None:
    """Add the options of detector and recognizer, for `load_detector_of` and `recognizer_path`.

    Args:
        group: Group or parser that gets the options.
        recognizer_is_needed: Whether the command cannot run without a recognizer. The help says so.
    """
    default_pack = "buffalo_l in the face models' folder" + ("" if recognizer_is_needed else ", if it exists")
    group.add_argument(
        "--detector",
        choices=tuple(DETECTOR_FILES),
        default="retinaface_resnet50",
        help="face detector; `refldm download NAME` fetches its file; embedded comes with refldm and finds rendered "
        "faces (default: retinaface_resnet50)",
    )
    group.add_argument(
        "--recognizer",
        type=Path,
        metavar="FILE",
        help='face recognizer: an ONNX file, or the folder of an insightface pack; "embedded" comes with refldm and '
        f"knows rendered people (default: {default_pack})",
    )
    group.add_argument(
        "--face-models",
        type=Path,
        default=MODEL_FOLDER,
        metavar="DIR",
        help=f"folder with the files of detector, recognizer and parser (default: {MODEL_FOLDER})",
    )
    group.add_argument(
        "--threshold",
        type=finite_number,
        help="smallest confidence of a face, 0 to 1 (default: depends on the detector; embedded asks for more in faces "
        "that lie on their side)",
    )
    group.add_argument(
        "--smallest",
        type=finite_number,
        metavar="PX",
        help="size of the smallest face to search for; a smaller size takes longer (default: 24)",
    )
    group.add_argument(
        "--search",
        choices=("staged", "exhaustive"),
        default="staged",
        help="how to search for faces: staged looks closely at likely places only; exhaustive looks closely everywhere "
        "and takes 1.6 to 3.2 times as long (default: staged)",
    )
    group.add_argument(
        "--upright", action="store_true", help="do not search for faces that lie on their side; this is faster"
    )
