"""The face stages of a command: their settings and networks, as the options say."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from .. import embedded
from ..checkpoints.faces import DETECTOR_FILES, load_detector, load_parser, load_recognizer
from ..face.detection import DetectionSettings, SearchingDetector
from ..face.identity import ArcFaceRecognizer
from ..face.paste import PasteSettings
from ..face.selection import parse_indices
from ..photos import PhotoSettings
from ..pipeline import SamplingSettings
from ..video.restoration import VideoSettings
from .memory import CLOSE_PROGRAMS, ON_THE_CPU, Stage, explained_memory_errors
from .people import FaceTools


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
        batch=1 if args.batch is None else args.batch,
    )


def video_settings(args: argparse.Namespace, photo: PhotoSettings) -> VideoSettings:
    """Return the settings for videos.

    Raises:
        SettingsError: A value cannot be used.
    """
    batch = VideoSettings.batch if args.batch is None else args.batch
    return VideoSettings(args.steadying, args.landmark_averaging, photo.paste, batch)


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
    turns = (0,) if args.upright else (0, 1, 3)
    settings = DetectionSettings(args.threshold, args.smallest, turns, search=args.search)
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
