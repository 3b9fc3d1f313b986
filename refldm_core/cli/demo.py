"""See the whole product at work in a minute: drawn people, small models that come along, no network.

It draws an album of each of four people and a group photo, degrades the photo until nobody's details are left, then
finds the faces, chooses references from the albums, recognizes who is who, restores, and pastes. DIR gets a picture of
each stage and sheet.png, which compares restoring without references, with a wrong person's and with their own.

examples:
  refldm demo
      Into the folder demo.
  refldm demo --output elsewhere --seed 7
      Other people. The same seed draws the same.

DIR/input holds pictures under the names that the ComfyUI workflows ask for: copy them into ComfyUI's folder input, and
the workflows run with the embedded models. Those models know drawn people only; for real photos see `refldm download`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ..demo.sheet import album_sheet, contact_sheet, marked
from ..demo.showing import COLUMNS, Row, Shown, choose, load_networks, show, to_picture
from ..demo.story import NAMES, Picture, Story, draw_story, workflow_inputs
from ..files import make_folder
from ..images import save_image
from .memory import Stage, explained_memory_errors
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder for the pictures (default: demo)"
    )
    parser.add_argument("--seed", type=int, default=2, metavar="N", help="other people and photos (default: 2)")


def run(args: argparse.Namespace, output: Output) -> int:
    start = time.perf_counter()
    folder: Path = args.output
    make_folder(folder / "input")
    with explained_memory_errors(Stage("run the demo", expected="about 1.3 GB")):
        return _show(folder, args.seed, start, output)


def _show(folder: Path, seed: int, start: float, output: Output) -> int:
    networks = load_networks()
    output.remark("Drawing four people, their albums and a group photo ...")
    story = draw_story(seed)
    output.remark("Choosing references from the albums ...")
    chosen = choose(story, networks)
    output.remark("Finding, recognizing and restoring the faces of the group photo ...")
    with output.steps("restoring") as on_step:
        shown = show(story, networks, chosen, seed, on_step)
    pictures = _save(story, shown, folder, seed)
    means = _means(shown.rows)
    output.result(
        "\n".join(_in_words(shown, means, folder)),
        {
            "pictures": pictures,
            "faces": [
                {
                    "name": row.name,
                    "recognized as": row.matched,
                    "similarity": dict(zip(COLUMNS, row.similarities, strict=True)),
                }
                for row in shown.rows
            ],
            "mean": dict(zip(COLUMNS, means, strict=True)),
            "references": {name: list(one.names) for name, one in chosen.items()},
            "seed": seed,
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    return 0


def _save(story: Story, shown: Shown, folder: Path, seed: int) -> list[str]:
    pictures: dict[str, Picture | Image.Image] = {
        "01_albums.png": album_sheet(story.albums, shown.chosen),
        "02_group_truth.png": story.truth,
        "03_group_lq.png": story.lq,
        "04_detected.png": marked(story.lq, shown.photo.faces),
        "05_restored.png": to_picture(shown.photo.image),
        "sheet.png": contact_sheet(shown.rows, seed),
    }
    pictures |= {f"input/{name}": picture for name, picture in workflow_inputs(story, seed).items()}
    for name, picture in pictures.items():
        save_image(picture if isinstance(picture, Image.Image) else Image.fromarray(picture), folder / name)
    return [str(folder / name) for name in pictures]


def _means(rows: Sequence[Row]) -> list[float]:
    return [sum(row.similarities[i] for row in rows) / max(1, len(rows)) for i in range(len(COLUMNS))]


def _in_words(shown: Shown, means: Sequence[float], folder: Path) -> Iterator[str]:
    columns = COLUMNS[:-1]  # the truth resembles itself
    yield "Likeness to the truth (cosine similarity, 1 is the same):"
    yield "  ".join([f"{'':<6}", *(f"{title:>14}" for title in columns), "recognized as"])
    for row in shown.rows:
        yield _line(row.name, row.similarities[:-1], row.matched or "nobody")
    yield _line("mean", means[:-1], "")
    missing = [name for name in NAMES if name not in {row.name for row in shown.rows}]
    if missing:
        yield f"Not found in the degraded photo: {', '.join(missing)}."
    yield f"The comparison: {folder / 'sheet.png'}; the stages: {folder / '01_albums.png'} to 05_restored.png"


def _line(name: str, values: Sequence[float], matched: str) -> str:
    return "  ".join([f"{name:<6}", *(f"{value:>14.2f}" for value in values), matched]).rstrip()
