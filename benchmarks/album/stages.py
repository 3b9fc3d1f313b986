"""The stages of `refldm restore`, as functions whose calls are counted.

This works with the code of two checkouts: of this one, and of an earlier one whose search for faces was exhaustive.
"""
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from refldm_core import photos
from refldm_core.cli import people, restoration_plan, restoration_work, restore
from refldm_core.face import candidates, detection, paste
from refldm_core.photo_files import Photo
from refldm_core.photos import PhotoRestorer
from refldm_core.pipeline import Restorer

from .clock import StageClock

START, LOADING, READING = "start-up and imports", "loading networks", "reading photos"
DETECTION = "detection"
RECOGNITION, ALIGNMENT = "recognition", "alignment"
REFERENCES, ENCODING, SAMPLING, DECODING = "reference encoding", "encoding", "sampling", "decoding"
WRITING, CHOOSING = "writing", "choosing references"
NETWORK = (REFERENCES, ENCODING, SAMPLING, DECODING)
"""The stages of the restorer's network."""

_OVERVIEW, _FINEST = "half of the finest scale and coarser", "finest scale"


WATCHED: Sequence[tuple[Any, str, str]] = (
    (restore, "load_networks", LOADING),
    (restoration_plan, "load_image", READING),
    (restoration_work, "load_photo", READING),
    (Photo, "srgb", READING),
    (Photo, "canvas", READING),
    (people, "load_image", READING),
    (people, "to_full_tensor", READING),
    (people, "select_references", CHOOSING),
    (detection.SearchingDetector, "detect", f"{DETECTION}: remaining work"),
    (detection.SearchingDetector, "_look_again", f"{DETECTION}: second look"),
    (photos, "embed_faces", RECOGNITION),
    (candidates, "embed_faces", RECOGNITION),
    (photos, "align", ALIGNMENT),
    (candidates, "align_faces", ALIGNMENT),
    (Restorer, "encode_references", REFERENCES),
    (Restorer, "sample", SAMPLING),
    (Restorer, "decode", DECODING),
    (photos, "paste_faces", "pasting: blending and copies"),
    (paste, "crop_shape_mask", "pasting: masks"),
    (paste, "crop_mask_in_image", "pasting: masks"),
    (paste, "_unchanged_mask", "pasting: masks"),
    (paste, "match_colors", "pasting: colors"),
    (paste, "align", "pasting: warping"),
    (paste, "_to_image", "pasting: warping"),
    (restoration_work, "save_photo", WRITING),
    (PhotoRestorer, "restore", "photo: remaining work"),
)
"""Module or class, function, stage."""


def watch_stages(clock: StageClock) -> None:
    """Count the stages in the modules that `refldm restore` has imported."""
    for owner, function, stage in WATCHED:
        clock.watch(owner, function, stage)
    clock.watch(Restorer, "encode", ENCODING, unless_in=REFERENCES)
    if hasattr(detection.SearchingDetector, "_search"):
        _watch_exhaustive_search(clock)
    else:
        _watch_staged_search(clock)


def _watch_staged_search(clock: StageClock) -> None:
    from refldm_core.face import search as module  # noqa: PLC0415 (missing in the earlier checkout)

    search_class: Any = module.Search
    find_in_overview, find_in_windows = search_class._find_in_overview, search_class._find_in_windows

    def overview(search: Any, resized: Any, factors: Any, turn: int) -> Any:
        with clock.stage(_view(turn, _OVERVIEW)):
            return find_in_overview(search, resized, factors, turn)

    def windows(search: Any, picture: Any, turn: int, candidates: Any) -> Any:
        with clock.stage(_view(turn, _FINEST)):
            return find_in_windows(search, picture, turn, candidates)

    search_class._find_in_overview, search_class._find_in_windows = overview, windows


def _watch_exhaustive_search(clock: StageClock) -> None:
    """Count the views of the earlier search, a generator that resizes the picture to one scale after the other."""
    module: Any = detection
    search, scales, resize = module.SearchingDetector._search, module.scales, module.resize
    finest = [0.0]

    def watched_scales(*args: Any) -> Sequence[float]:
        chosen: Sequence[float] = scales(*args)
        finest[0] = chosen[0]
        return chosen

    def watched_resize(picture: Any, scale: float) -> Any:
        clock.rename(_view(turn_of_search[0], _FINEST if scale == finest[0] else _OVERVIEW))
        return resize(picture, scale)

    turn_of_search = [0]

    def watched_search(detector: Any, picture: Any, turn: int, size: Any) -> Generator[Any, None, None]:
        # The caller takes all findings at once, so nothing else runs between two of them.
        turn_of_search[0] = turn
        with clock.stage(_view(turn, _FINEST)):
            yield from search(detector, picture, turn, size)

    module.SearchingDetector._search = watched_search
    module.scales, module.resize = watched_scales, watched_resize


def _view(turn: int, scale: str) -> str:
    return f"{DETECTION}: {'upright' if turn == 0 else 'turned'}, {scale}"
