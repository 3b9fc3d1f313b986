"""The work of `refldm demo`. Its options are in `arguments/demo.py`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..demo.inputs import write_workflow_inputs
from ..demo.sheet import album_sheet, contact_sheet, mark_faces, video_sheet
from ..demo.showing import COLUMNS, DemoResult, Row, choose_album_references, load_networks, restore_story, to_picture
from ..demo.story import Story, make_story
from ..demo.video import FRAMES, RATE, VIDEO_COLUMNS, film, restore_video
from ..demo.video_file import write_video
from ..files import make_folder
from ..images import save_image
from ..samples import Picture
from ..temporal import STEADY
from .memory import Stage, explained_memory_errors
from .output import Output


def run(args: argparse.Namespace, output: Output) -> int:
    start = time.perf_counter()
    folder: Path = args.output
    make_folder(folder / "input")
    with explained_memory_errors(Stage("run the demo", expected="about 1.3 GB")):
        return _run_demo(folder, args, start, output)


def _run_demo(folder: Path, args: argparse.Namespace, start: float, output: Output) -> int:
    seed: int = args.seed
    networks = load_networks()
    story = make_story(seed)
    output.remark("Choosing references from the albums ...")
    chosen = choose_album_references(story, networks)
    output.remark("Finding, recognizing and restoring the faces of the group photo ...")
    with output.steps("restoring") as on_step:
        result = restore_story(story, networks, chosen, seed, on_step)
    pictures = _save(story, result, folder, seed)
    means = _means(result.rows)
    lines = list(_describe_result(story, result, means, folder))
    as_json: dict[str, Any] = {
        "pictures": pictures,
        "faces": [
            {
                "name": row.name,
                "recognized as": row.matched,
                "similarity": dict(zip(COLUMNS, row.similarities, strict=True)),
            }
            for row in result.rows
        ],
        "mean": dict(zip(COLUMNS, means, strict=True)),
        "references": {name: list(references.names) for name, references in chosen.items()},
        "seed": seed,
    }
    if args.video:
        name = next(iter(chosen))
        output.remark(f"Rendering and restoring a video of {name} ...")
        with output.steps("restoring frames") as on_step:
            temporal = STEADY if args.temporal else None
            restored_video = restore_video(film(name, seed), networks, chosen[name], seed, on_step, temporal=temporal)
        path = write_video(video_sheet(restored_video), folder / "video", RATE)
        lines.append(f"The video of {name}: {path}; {restored_video.detected} of {FRAMES} frames were restored.")
        as_json["video"] = {
            "file": str(path),
            "person": name,
            "restored": restored_video.detected,
            "frames": FRAMES,
            "similarity": dict(zip(VIDEO_COLUMNS, restored_video.similarities, strict=True)),
        }
    as_json["seconds"] = round(time.perf_counter() - start, 1)
    output.result("\n".join(lines), as_json)
    return 0


def _save(story: Story, result: DemoResult, folder: Path, seed: int) -> list[str]:
    pictures: dict[str, Picture | Image.Image] = {
        "01_albums.png": album_sheet(story.albums, result.chosen),
        "02_group_truth.png": story.truth,
        "03_group_lq.png": story.lq,
        "04_detected.png": mark_faces(story.lq, result.photo.faces),
        "05_restored.png": to_picture(result.photo.image),
        "sheet.png": contact_sheet(result.rows, seed),
    }
    for name, picture in pictures.items():
        save_image(picture if isinstance(picture, Image.Image) else Image.fromarray(picture), folder / name)
    inputs, _ = write_workflow_inputs(folder / "input")
    return [str(path) for path in (*(folder / name for name in pictures), *inputs)]


def _means(rows: Sequence[Row]) -> list[float]:
    return [sum(row.similarities[i] for row in rows) / max(1, len(rows)) for i in range(len(COLUMNS))]


def _describe_result(story: Story, result: DemoResult, means: Sequence[float], folder: Path) -> Iterator[str]:
    columns = COLUMNS[:-1]  # the truth resembles itself
    yield "Likeness to the truth (cosine similarity, 1 is the same):"
    yield "  ".join([f"{'':<6}", *(f"{title:>14}" for title in columns), "recognized as"])
    for row in result.rows:
        yield _line(row.name, row.similarities[:-1], row.matched or "nobody")
    yield _line("mean", means[:-1], "")
    missing = [name for name in story.albums if name not in {row.name for row in result.rows}]
    if missing:
        yield f"Not found in the degraded photo: {', '.join(missing)}."
    yield f"The comparison: {folder / 'sheet.png'}; the stages: {folder / '01_albums.png'} to 05_restored.png"


def _line(name: str, values: Sequence[float], matched: str) -> str:
    return "  ".join([f"{name:<6}", *(f"{value:>14.2f}" for value in values), matched]).rstrip()
