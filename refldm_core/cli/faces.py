"""Options for finding, matching and pasting the faces of whole photos."""

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
    """Add the options, in three groups."""
    finding = parser.add_argument_group("finding faces in whole photos")
    add_detection_arguments(finding, recognizer_is_needed=False)
    finding.add_argument(
        "--min-size", type=float, default=0.0, metavar="PX", help="do not restore faces smaller than this"
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
        type=float,
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
        "--feather", type=float, default=0.1, help="width of the soft edge, 0 to 0.5 of the crop (default: 0.1)"
    )
    pasting.add_argument(
        "--color",
        "--colour",
        choices=("wavelet", "lab", "none"),
        default="wavelet",
        help="how to match the colors of the face to the photo (default: wavelet); --colour is the earlier name",
    )
    pasting.add_argument("--blend", type=float, default=1.0, help="opacity of the restored face, 0 to 1 (default: 1)")
    pasting.add_argument("--upscale", type=float, default=1.0, help="enlarge the photo, 1 to 8 (default: 1)")
    pasting.add_argument(
        "--batch", type=int, default=1, metavar="N", help="number of faces to restore together (default: 1)"
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
        type=float,
        help="smallest confidence of a face, 0 to 1 (default: depends on the detector; embedded asks for more in faces "
        "that lie on their side)",
    )
    group.add_argument(
        "--smallest",
        type=float,
        metavar="PX",
        help="size of the smallest face to search for; a smaller size takes longer (default: 24)",
    )
    group.add_argument(
        "--upright", action="store_true", help="do not search for faces that lie on their side; this is faster"
    )


def photo_settings(args: argparse.Namespace, sampling: SamplingSettings) -> PhotoSettings:
    """Return the settings of the face stages.

    Raises:
        SettingsError: A value cannot be used.
        CheckpointError: See `recognizer_path`.
    """
    indices = parse_indices(args.faces) if args.faces else None
    # Without a recognizer, nothing says which face shows the person of the references, so only the first is restored.
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
    """Return the path of the recognizer that was named, else that of buffalo_l. None if neither exists.

    Raises:
        CheckpointError: The embedded recognizer was named and is missing.
    """
    if args.recognizer is not None:
        return embedded.require(embedded.RECOGNIZER) if str(args.recognizer) == embedded.NAME else args.recognizer
    default_pack = args.face_models / DETECTOR_FILES["insightface"]
    return default_pack if default_pack.is_dir() else None


def load_detector_of(args: argparse.Namespace, device: torch.device) -> SearchingDetector:
    """Load the detector that the arguments name.

    Raises:
        CheckpointError: The file of the detector is missing.
        MissingPackageError: A Python package of the detector is not installed.
    """
    settings = DetectionSettings(args.threshold, args.smallest, (0,) if args.upright else (0, 1, 3))
    return load_detector(args.detector, args.face_models, settings, device)


def load_tools(args: argparse.Namespace, device: torch.device) -> FaceTools:
    """Load the face networks that the arguments name.

    Raises:
        CheckpointError: The file of a network is missing.
        MissingPackageError: A Python package of a network is not installed.
        NotEnoughMemoryError: The networks do not fit into the memory.
    """
    path = recognizer_path(args)
    with explained_memory_errors(face_networks_stage(device)):
        detector = load_detector_of(args, device)
        recognizer = None if path is None else load_recognizer(path)
        parser = None if args.parser is None else load_parser(args.parser, args.face_models, device)
    return FaceTools(detector, recognizer, parser, metadata_of(detector, recognizer))


def face_networks_stage(device: torch.device) -> Stage:
    """Return the stage of loading and running the face networks."""
    return Stage("find and recognize faces", [*([] if device.type == "cpu" else [ON_THE_CPU]), CLOSE_PROGRAMS])


def metadata_of(
    detector: SearchingDetector | None, recognizer: ArcFaceRecognizer | None
) -> dict[str, Mapping[str, str]]:
    """Return the metadata in the files of the face networks, by the role of the network, for `caution`."""
    networks = {"detector": detector and detector.network, "recognizer": recognizer}
    return {part: network.metadata for part, network in networks.items() if network is not None}
