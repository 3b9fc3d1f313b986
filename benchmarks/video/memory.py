"""Memory of restoring a long video: `python -m benchmarks.video.memory --frames 1000`.

A clip of a rendered person is restored with the embedded models, as `refldm restore` does it. The memory of the process
is read after some numbers of frames. If it grew with the frames, a film would not fit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import psutil
from torch import Tensor

from refldm_core.demo.showing import load_networks
from refldm_core.face.selection import select_faces
from refldm_core.face.tracking import face_seed
from refldm_core.face.types import Face
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.synthetic import clip, person
from refldm_core.video.endings import video_format
from refldm_core.video.film import restore_video
from refldm_core.video.parts import Parts, parts_folder
from refldm_core.video.restoration import VideoSettings
from refldm_core.video.search import FaceFinder
from refldm_core.video.writing import VideoWriter

_RENDERED = 40
"""Frames that are rendered. The clip shows them forwards and backwards again and again."""
_RATE = Fraction(25)
_SAMPLING = SamplingSettings(1, "ddim", "trailing", 1.0)


def write_clip(path: Path, frames: int, side: int) -> None:
    """Write a video of a rendered person."""
    rendered = clip(person(7), 0, min(frames, _RENDERED), side, rate=float(_RATE)).frames
    period = max(1, 2 * len(rendered) - 2)
    with VideoWriter(path, video_format(path), rate=_RATE, time_base=1 / _RATE) as writer:
        for k in range(frames):
            i = k % period
            writer.write(rendered[i if i < len(rendered) else period - i], k)


def restoring_crops(restorer: Restorer) -> Callable[[Tensor, Sequence[Face]], Tensor]:
    """Return the function that restores crops without references in one step."""

    def restore(crops: Tensor, faces: Sequence[Face]) -> Tensor:
        return restorer.restore(crops, None, [face_seed(0, face, 0) for face in faces], _SAMPLING)

    return restore


def memory_of_restoring(source: Path, target: Path, after: Sequence[int]) -> dict[str, dict[int, float]]:
    """Restore a video, and return the memory of this process in MiB: stage -> number of frames -> memory."""
    networks = load_networks()
    memory: dict[str, dict[int, float]] = {}

    def on_progress(stage: str, done: int, total: int | None) -> None:
        if done in after:
            memory.setdefault(stage, {})[done] = psutil.Process().memory_info().rss / 2**20

    restore_video(
        source,
        target,
        Parts(parts_folder(target), {}, resume=False),
        FaceFinder(networks.detector),
        restoring_crops(networks.restorer),
        crop_size=networks.restorer.spec.crop_size,
        settings=VideoSettings(),
        select=partial(select_faces, when_empty="pass"),
        on_progress=on_progress,
    )
    return memory


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video.memory", description=__doc__)
    parser.add_argument("--frames", type=int, default=1000, metavar="N", help="frames of the clip (default: 1000)")
    parser.add_argument("--side", type=int, default=192, metavar="PX", help="side of the frames (default: 192)")
    args = parser.parse_args(argv)
    after = sorted({max(1, args.frames // 10), max(1, args.frames // 2), args.frames})
    with tempfile.TemporaryDirectory(prefix="refldm-video-") as folder:
        source = Path(folder) / "clip.mp4"
        write_clip(source, args.frames, args.side)
        start = time.perf_counter()
        memory = memory_of_restoring(source, Path(folder) / "restored.mp4", after)
        seconds = time.perf_counter() - start
    print(f"{args.frames} frames of {args.side} px, {args.frames / seconds:.2f} frames per second")
    for stage, values in memory.items():
        print(f"{stage}: " + ", ".join(f"{value:.0f} MiB after {frames} frames" for frames, value in values.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
