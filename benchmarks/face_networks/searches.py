"""Compare the searches for faces, staged and exhaustive, on pictures whose faces are known, with the embedded detector.

python -m benchmarks.face_networks.searches --output report.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector
from refldm_core.evaluation.report import markdown_table
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.search import SearchMethod

from ..common.measuring import machine
from ..common.reporting import run_and_report
from .detection import DetectionScores, KnownFaces, unseen_scenes
from .mosaics import mosaic, turned

_SEARCHES: tuple[SearchMethod, ...] = ("exhaustive", "staged")
_HEADINGS = ["pictures", "damage", "search", "faces", "found", "false", "landmark error", "processor seconds"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.face_networks.searches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenes", type=int, default=16, metavar="N", help="number of scenes, 12 or more (default: 16)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    args = parser.parse_args(argv)
    return run_and_report(lambda: measure(args.scenes), args.output)


def measure(count: int) -> str:
    """Search the pictures with both searches, and return the report."""
    scenes = list(tqdm(unseen_scenes(count), total=count, desc="scenes", disable=None))
    network = load_detector(embedded.NAME, embedded.FOLDER).network
    detectors = {search: SearchingDetector(network, DetectionSettings(search=search)) for search in _SEARCHES}
    rows = [_HEADINGS]
    for name, pictures in _kinds(scenes):
        for damage in ("none", "severe"):
            damaged = [scene.degraded(i) if damage == "severe" else scene for i, scene in enumerate(pictures)]
            for search, detector in detectors.items():
                start, scores = time.process_time(), DetectionScores()
                for scene in damaged:
                    scores.add(scene, detector)
                seconds = time.process_time() - start
                cells = [str(scores.faces), str(scores.found), str(scores.false), f"{scores.landmark_error:.3f}"]
                rows.append([name, damage, search, *cells, f"{seconds:.1f}"])
    lines = [
        "# Two searches for faces",
        "",
        f"Machine: {machine('cpu')}, torch {torch.__version__}. Embedded detector, {count} scenes of people whom it "
        "was not trained on. Faces are 20 to 200 pixels large. Mixed pictures are put together from 4 or 12 scenes, "
        "of which two lie on their side. The landmark error is the median, in eye distances.",
        "",
        *markdown_table(rows),
        "",
    ]
    return "\n".join(lines)


def _kinds(scenes: Sequence[KnownFaces]) -> Iterator[tuple[str, list[KnownFaces]]]:
    """Yield a name and pictures: scenes, scenes on their side, and larger pictures with both."""
    yield "640 pixels", list(scenes)
    yield "640 pixels, on their side", [turned(scene, 1 + 2 * (i % 2)) for i, scene in enumerate(scenes[::4])]
    fours = [scenes[i : i + 4] for i in range(0, len(scenes) - 3, 4)]
    yield "1280 pixels, mixed", [mosaic(four, (0, 1, 0, 3), 2) for four in fours]
    twelves = [scenes[i : i + 12] for i in range(0, len(scenes) - 11, 12)]
    yield "2560 pixels, mixed", [mosaic(twelve, (0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0), 4) for twelve in twelves]


if __name__ == "__main__":
    raise SystemExit(main())
