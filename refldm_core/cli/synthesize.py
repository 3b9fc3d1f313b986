"""Render pictures of people who do not exist, to train on and to try things with.

examples:
  refldm synthesize --people 2000 --pictures 6 --size 128 --output people
      Twelve thousand aligned faces. The same command goes on where it was interrupted.
  refldm synthesize --people 100 --pictures 5 --size 256 --output unseen --first-person 100000
      A hundred other people, to test with.

The folder is a dataset in the published layout, so that training takes it as it is:
  corpus: {kind: folder, folder: people/images, references: people/reference_mapping/train_references.csv, size: 128}
people/attributes.jsonl has one line a picture: landmarks, moles, iris color, glasses, beard, hair, age and pose.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..data.rendered import RenderedDataset, render_dataset
from ..synthetic.dataset import DatasetSpec
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--people", type=int, required=True, metavar="N", help="number of people")
    parser.add_argument("--pictures", type=int, required=True, metavar="K", help="pictures of each person")
    parser.add_argument("--size", type=int, default=256, metavar="S", help="pixels along each side (default: 256)")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the dataset; made where there is none"
    )
    parser.add_argument(
        "--first-person", type=int, default=0, metavar="SEED", help="seed of the first person (default: 0)"
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="W", help="processes (default: one for each processor core)"
    )


def run(args: argparse.Namespace, output: Output) -> int:
    spec = DatasetSpec(args.people, args.pictures, args.size, args.first_person)
    total = spec.people * spec.pictures
    rendered = 0
    with output.bar("pictures", total, unit="picture") as bar:
        for count in render_dataset(args.output, spec, args.workers or _cores()):
            rendered += count
            bar.update(count)
    dataset = RenderedDataset(args.output)
    text = f"{rendered} pictures rendered, {total} in {dataset.images}; {dataset.attributes} describes them."
    described = {
        "rendered": rendered,
        "pictures": total,
        "people": spec.people,
        "size": spec.size,
        "images": str(dataset.images),
        "references": str(dataset.references) if spec.pictures > 1 else None,
        "attributes": str(dataset.attributes),
    }
    output.result(text, described)
    return 0


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
