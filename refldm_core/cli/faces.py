"""Options for finding, matching and putting back the faces of whole photos."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from .. import embedded
from ..checkpoints.faces import DETECTOR_FILES, PARSER_FILES, load_detector, load_parser, load_recognizer
from ..face.detection import DetectionSettings, SearchingDetector
from ..face.identity import ArcFaceRecognizer
from ..face.matching import SAME_PERSON
from ..face.paste import PasteSettings
from ..face.selection import parse_indices
from ..photos import PhotoSettings
from ..pipeline import SamplingSettings
from .memory import CLOSE_PROGRAMS, ON_THE_CPU, Stage, explained_memory_errors
from .options import MODEL_FOLDER
from .people import FaceTools

_ORDERS = ("largest", "middle", "left to right", "top to bottom", "confidence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, in groups of their own."""
    finding = parser.add_argument_group("finding faces in whole photos")
    add_detection_arguments(finding, recognizer_is_needed=False)
    finding.add_argument(
        "--min-size", type=float, default=0.0, metavar="PX", help="leave faces smaller than this alone"
    )
    finding.add_argument("--order", choices=_ORDERS, default="largest", help="how faces are counted (default: largest)")
    finding.add_argument(
        "--faces",
        metavar="LIST",
        help='which to restore, in that order, such as "0, 2-4" or "all" (default: every face that matches a person; '
        "with references but no recognizer the first)",
    )
    finding.add_argument(
        "--skip-empty", action="store_true", help="copy photos without a face instead of reporting them"
    )
    matching = parser.add_argument_group("matching people")
    matching.add_argument(
        "--match",
        type=float,
        default=SAME_PERSON,
        metavar="S",
        help=f"least similarity of a face to its person, -1 to 1 (default: {SAME_PERSON})",
    )
    matching.add_argument(
        "--strangers",
        choices=("leave", "restore"),
        default="leave",
        help="leave faces that match nobody alone, or restore them without references (default: leave)",
    )
    matching.add_argument("--repeats", action="store_true", help="one person may be in a photo more than once")
    matching.add_argument(
        "--max-references", type=int, default=5, metavar="N", help="chosen from each person's photos (default: 5)"
    )
    pasting = parser.add_argument_group("putting faces back")
    pasting.add_argument(
        "--parser", choices=tuple(PARSER_FILES), help="limit the change to face and hair with this face parser"
    )
    pasting.add_argument("--feather", type=float, default=0.1, help="soft edge, 0 to 0.5 of the crop (default: 0.1)")
    pasting.add_argument(
        "--color",
        "--colour",
        choices=("wavelet", "lab", "none"),
        default="wavelet",
        help="match the colors of face and photo (default: wavelet); --colour is the earlier name",
    )
    pasting.add_argument("--blend", type=float, default=1.0, help="0 is the photo, 1 the restored face (default: 1)")
    pasting.add_argument("--upscale", type=float, default=1.0, help="enlarge the photo, 1 to 8 (default: 1)")
    pasting.add_argument("--batch", type=int, default=1, metavar="N", help="faces restored at once (default: 1)")


def add_detection_arguments(
    finding: argparse._ActionsContainer,  # pyright: ignore[reportPrivateUsage]
    *,
    recognizer_is_needed: bool,
) -> None:
    """Detector and recognizer, and how to search; for `load_detector_of` and `recognizer_path`."""
    usual = "buffalo_l in the face models' folder" + ("" if recognizer_is_needed else ", where it is there")
    finding.add_argument(
        "--detector",
        choices=tuple(DETECTOR_FILES),
        default="retinaface_resnet50",
        help="`refldm download NAME` fetches its file; embedded comes along and finds drawn faces (default: "
        "retinaface_resnet50)",
    )
    finding.add_argument(
        "--recognizer",
        type=Path,
        metavar="FILE",
        help='ONNX file, or folder of an insightface pack, that tells who is who; "embedded" comes along and knows '
        f"drawn people (default: {usual})",
    )
    finding.add_argument(
        "--face-models",
        type=Path,
        default=MODEL_FOLDER,
        metavar="DIR",
        help=f"folder with the files of detector, recognizer and parser (default: {MODEL_FOLDER})",
    )
    finding.add_argument(
        "--threshold",
        type=float,
        help="least confidence of a face, 0 to 1 (default: the detector's own; that of embedded is higher for faces "
        "lying on their side)",
    )
    finding.add_argument(
        "--smallest", type=float, metavar="PX", help="smallest face to look for; smaller takes longer (default: 24)"
    )
    finding.add_argument("--upright", action="store_true", help="do not look for faces lying on their side; faster")


def photo_settings(args: argparse.Namespace, sampling: SamplingSettings) -> PhotoSettings:
    """Raises: SettingsError: a value without meaning; CheckpointError: as `recognizer_path`."""
    indices = parse_indices(args.faces) if args.faces else None
    # One person's references are for one face; a recognizer says whose the others are.
    first_only = args.faces is None and bool(args.reference) and recognizer_path(args) is None
    return PhotoSettings(
        order=args.order,
        indices=None if indices is None else tuple(indices),
        count=1 if first_only else None,
        min_size=args.min_size,
        when_empty="pass" if args.skip_empty else "error",
        threshold=args.match,
        repeats=args.repeats,
        strangers=args.strangers,
        sampling=sampling,
        seed=args.seed,
        paste=PasteSettings(feather=args.feather, color=args.color, blend=args.blend, upscale=args.upscale),
        batch=args.batch,
    )


def recognizer_path(args: argparse.Namespace) -> Path | None:
    """The recognizer that was named, else the usual one where it is there.

    Raises:
        CheckpointError: the embedded one was named and is missing.
    """
    if args.recognizer is not None:
        return embedded.require(embedded.RECOGNIZER) if str(args.recognizer) == embedded.NAME else args.recognizer
    usual = args.face_models / DETECTOR_FILES["insightface"]
    return usual if usual.is_dir() else None


def load_detector_of(args: argparse.Namespace, device: torch.device) -> SearchingDetector:
    """The detector that the arguments name.

    Raises:
        CheckpointError, MissingPackageError: a file or package that is not there.
    """
    settings = DetectionSettings(args.threshold, args.smallest, (0,) if args.upright else (0, 1, 3))
    return load_detector(args.detector, args.face_models, settings, device)


def load_tools(args: argparse.Namespace, device: torch.device) -> FaceTools:
    """The face networks that the arguments name.

    Raises:
        CheckpointError, MissingPackageError: a file or package that is not there.
        NotEnoughMemoryError: the networks do not fit.
    """
    path = recognizer_path(args)
    with explained_memory_errors(face_networks_stage(device)):
        detector = load_detector_of(args, device)
        recognizer = None if path is None else load_recognizer(path)
        parser = None if args.parser is None else load_parser(args.parser, args.face_models, device)
    return FaceTools(detector, recognizer, parser, metadata_of(detector, recognizer))


def face_networks_stage(device: torch.device) -> Stage:
    """Loading and running the face networks."""
    return Stage("find and recognize faces", [*([] if device.type == "cpu" else [ON_THE_CPU]), CLOSE_PROGRAMS])


def metadata_of(
    detector: SearchingDetector | None, recognizer: ArcFaceRecognizer | None
) -> dict[str, Mapping[str, str]]:
    """What the files of the face networks say of themselves, for `caution`."""
    named = {"detector": detector and detector.network, "recognizer": recognizer}
    return {part: network.metadata for part, network in named.items() if network is not None}
