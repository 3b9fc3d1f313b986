"""Measure the memory and time of the dataset builder's distance graph, and how well it separates rendered people.

python -m benchmarks.dataset                           measures 70,000 random embeddings of 512 numbers, as for FFHQ
python -m benchmarks.dataset --faces 2000 --people 4   runs for seconds only, to check that the benchmark works

The graph is computed in its own process, so the peak memory is that of the graph alone. The memory that this process
holds before it makes the embeddings is reported separately. Random directions have almost no pair below the limit.
Therefore a part of the embeddings is drawn around common centers. The number and size of these groups are those of
FFHQ-Ref. Run the benchmark on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_recognizer
from refldm_core.cli.output import escape_what_cannot_be_encoded
from refldm_core.data.distances import BLOCK, DistanceGraph, grow
from refldm_core.data.splits import SplitSettings, group_members
from refldm_core.face.identity import Embeddings, embed_crops, normalize
from refldm_core.images import u8_to_tensor
from refldm_core.synthetic import conditions, person, portrait

from ..common.measuring import machine, peak_bytes
from ..common.reporting import write

LIMITS = (SplitSettings().near_duplicate, SplitSettings().same_person)
CURVE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
SHARE_WITH_SEVERAL, PICTURES = 20_405 / 70_000, 20_405 / 6_523
"""FFHQ-Ref: share of the pictures whose person has several, and mean number of pictures of such a person."""
PORTRAITS, PORTRAIT_SIZE, FIRST_PERSON = 5, 128, 910_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataset", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=70_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument(
        "--people",
        type=int,
        default=40,
        help="rendered people, with 5 pictures each; 0 leaves out the curve (default: 40)",
    )
    parser.add_argument("--output", type=Path, help="Markdown file to write, such as benchmarks/results/dataset.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.faces, args.dimensions, args.block)))
        return
    command = [sys.executable, "-m", "benchmarks.dataset", *sys.argv[1:], "--measure"]
    measured = json.loads(subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout)
    escape_what_cannot_be_encoded()
    report = "\n".join([*graph_report(args, measured), *(curve_report(args.people) if args.people else [])]) + "\n"
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        write(args.output, report)
    print(report)


def measure(faces: int, dimensions: int, block: int) -> dict[str, Any]:
    """Compute the graph of random embeddings. Return the seconds, the peak memory and the size of the groups.

    Args:
        faces: number of embeddings.
        dimensions: numbers in each embedding.
        block: embeddings in each block of the distance matrix.
    """
    bytes_before = peak_bytes("cpu")
    embeddings = random_embeddings(faces, dimensions)
    bytes_with_embeddings = peak_bytes("cpu")
    graph = DistanceGraph.empty(LIMITS)
    start = time.perf_counter()
    for graph in grow(DistanceGraph.empty(LIMITS), embeddings, block):
        print(f"\r{graph.rows} of {faces} faces", end="", file=sys.stderr, flush=True)
    graph_seconds = time.perf_counter() - start
    start = time.perf_counter()
    sizes = [len(group) for group in group_members(graph.groups(LIMITS[1]))]
    grouping_seconds = time.perf_counter() - start
    print(file=sys.stderr)
    return {
        "before": bytes_before,
        "made": bytes_with_embeddings,
        "peak": peak_bytes("cpu"),
        "embeddings": embeddings.nbytes,
        "seconds": graph_seconds,
        "seconds_grouping": grouping_seconds,
        "people": sum(size > 1 for size in sizes),
        "pictures": sum(size for size in sizes if size > 1),
    }


def random_embeddings(faces: int, dimensions: int) -> Embeddings:
    """Return shuffled unit vectors (faces, dimensions): a part around common centers, the rest in random directions."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((faces, dimensions), dtype=np.float32)
    grouped_faces = int(faces * SHARE_WITH_SEVERAL)
    people = max(1, round(grouped_faces / PICTURES))
    centers = random.standard_normal((people, dimensions), dtype=np.float32)
    for first in range(0, grouped_faces, people):
        members = vectors[first : min(first + people, grouped_faces)]
        # With these weights, two members of a group have a distance of about 0.3.
        members *= 0.55
        members += 0.84 * centers[: len(members)]
    random.shuffle(vectors)
    # `normalize` works in double precision, so it gets parts to save memory.
    return np.concatenate([normalize(vectors[i : i + BLOCK]) for i in range(0, faces, BLOCK)])


def graph_report(args: argparse.Namespace, measured: dict[str, Any]) -> list[str]:
    """Return the measurements as lines of Markdown."""
    pairs = args.faces * (args.faces - 1) // 2
    rest = measured["peak"] - measured["before"] - measured["embeddings"]
    return [
        "# Distance graph of the dataset builder",
        "",
        f"{args.faces:,} embeddings of {args.dimensions} numbers, {pairs:,} pairs, in blocks of {args.block:,}; limits "
        + " and ".join(f"{limit:g}" for limit in LIMITS)
        + ".",
        "",
        f"Machine: {machine('cpu')}. numpy {np.__version__}, "
        f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}.",
        "",
        "| | |",
        "|---|---|",
        f"| seconds: distances, links, histogram | {measured['seconds']:.1f} |",
        f"| seconds: components | {measured['seconds_grouping']:.2f} |",
        f"| pairs a second | {pairs / measured['seconds'] / 1e6:.0f} million |",
        f"| peak memory of the process | {measured['peak'] / 1e6:.0f} MB |",
        f"| part of it before the embeddings (Python, PyTorch) | {measured['before'] / 1e6:.0f} MB |",
        f"| part of it for the embeddings | {measured['embeddings'] / 1e6:.0f} MB |",
        f"| the rest, for making and comparing the embeddings | {rest / 1e6:.0f} MB |",
        f"| peak after making the embeddings | {measured['made'] / 1e6:.0f} MB |",
        f"| size of the full distance matrix | {args.faces**2 * 4 / 1e9:.1f} GB |",
        f"| people with several pictures, their pictures | {measured['people']:,}, {measured['pictures']:,} |",
    ]


def curve_report(people: int) -> list[str]:
    """Return lines of Markdown that say how well each distance limit separates rendered people."""
    recognizer = load_recognizer(embedded.require(embedded.RECOGNIZER))
    truth = [index for index in range(people) for _ in range(PORTRAITS)]
    crops = [
        u8_to_tensor(
            torch.as_tensor(
                portrait(person(FIRST_PERSON + index), conditions(100 * index + i % PORTRAITS), PORTRAIT_SIZE).picture
            ).movedim(-1, 0)
        )
        for i, index in enumerate(truth)
    ]
    embeddings = embed_crops(recognizer, torch.stack(crops))
    lines = [
        "",
        "# Rendered people",
        "",
        f"The embedded recognizer on {people} rendered people that it has not seen, with {PORTRAITS} aligned portraits "
        f"of {PORTRAIT_SIZE} px each. Faces whose distance is below the limit are linked, and linked faces form a "
        "group. The "
        "adjusted Rand index compares these groups with the people.",
        "",
        "| distance | groups | adjusted Rand index |",
        "|---|---|---|",
    ]
    for limit in CURVE:
        *_, graph = grow(DistanceGraph.empty((limit,)), embeddings)
        labels = graph.groups(limit)
        lines.append(f"| {limit:g} | {len(set(labels.tolist()))} | {adjusted_rand_score(truth, labels.tolist()):.3f} |")
    return lines
