"""Memory and seconds of the dataset builder's distance graph, and how well it tells rendered people apart.

python -m benchmarks.dataset                           70,000 random embeddings of 512 numbers, as many as FFHQ has
python -m benchmarks.dataset --faces 2000 --people 4   seconds, to see that it works

The graph is computed in a process of its own, so that its peak memory is its own; what that process holds before the
embeddings are made is reported apart. Random directions have next to no pair below the limit. So a part of the
embeddings is drawn around common centers, as many of them, and as large, as in FFHQ-Ref. Run it on a machine that does
nothing else.
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
SHARE_WITH_OTHERS, PICTURES = 20_405 / 70_000, 20_405 / 6_523
"""Of FFHQ-Ref: how many of all pictures are of people with several, and how many those have."""
PORTRAITS, PORTRAIT_SIZE, FIRST_PERSON = 5, 128, 910_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataset", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=70_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--people", type=int, default=40, help="rendered, with 5 pictures each; 0 leaves the curve out")
    parser.add_argument("--output", type=Path, help="Markdown file to write, such as benchmarks/results/dataset.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.faces, args.dimensions, args.block)))
        return
    words = [sys.executable, "-m", "benchmarks.dataset", *sys.argv[1:], "--measure"]
    measured = json.loads(subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout)
    escape_what_cannot_be_encoded()
    report = "\n".join([*graph_report(args, measured), *(curve_report(args.people) if args.people else [])]) + "\n"
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        write(args.output, report)
    print(report)


def measure(faces: int, dimensions: int, block: int) -> dict[str, Any]:
    """Compute the graph of so many faces; its seconds, peak memory and what it found."""
    before = peak_bytes("cpu")
    embeddings = random_embeddings(faces, dimensions)
    made = peak_bytes("cpu")
    graph = DistanceGraph.empty(LIMITS)
    start = time.perf_counter()
    for grown in grow(DistanceGraph.empty(LIMITS), embeddings, block):
        graph = grown
        print(f"\r{graph.rows} of {faces} faces", end="", file=sys.stderr, flush=True)
    computed = time.perf_counter() - start
    start = time.perf_counter()
    members = [len(group) for group in group_members(graph.groups(LIMITS[1]))]
    grouped = time.perf_counter() - start
    print(file=sys.stderr)
    return {
        "before": before,
        "made": made,
        "peak": peak_bytes("cpu"),
        "embeddings": embeddings.nbytes,
        "seconds": computed,
        "seconds_grouping": grouped,
        "people": sum(size > 1 for size in members),
        "pictures": sum(size for size in members if size > 1),
    }


def random_embeddings(faces: int, dimensions: int) -> Embeddings:
    """Unit vectors, (faces, dimensions): a part around common centers, the rest in random directions; shuffled."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((faces, dimensions), dtype=np.float32)
    several = int(faces * SHARE_WITH_OTHERS)
    people = max(1, round(several / PICTURES))
    centers = random.standard_normal((people, dimensions), dtype=np.float32)
    for first in range(0, several, people):
        own = vectors[first : min(first + people, several)]
        # Two with the same weight of a common center are about 0.3 apart.
        own *= 0.55
        own += 0.84 * centers[: len(own)]
    random.shuffle(vectors)
    # In parts: the package's function works in double precision.
    return np.concatenate([normalize(vectors[i : i + BLOCK]) for i in range(0, faces, BLOCK)])


def graph_report(args: argparse.Namespace, measured: dict[str, Any]) -> list[str]:
    """Markdown of what was measured."""
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
        f"| of it before anything was made (Python, PyTorch) | {measured['before'] / 1e6:.0f} MB |",
        f"| of it the embeddings | {measured['embeddings'] / 1e6:.0f} MB |",
        f"| the rest, while the embeddings were made or compared | {rest / 1e6:.0f} MB |",
        f"| peak when the embeddings had been made | {measured['made'] / 1e6:.0f} MB |",
        f"| all distances at once would take | {args.faces**2 * 4 / 1e9:.1f} GB |",
        f"| people with several pictures, their pictures | {measured['people']:,}, {measured['pictures']:,} |",
    ]


def curve_report(people: int) -> list[str]:
    """Markdown of how well limits tell rendered people apart."""
    recognizer = load_recognizer(embedded.require(embedded.RECOGNIZER))
    truth = [who for who in range(people) for _ in range(PORTRAITS)]
    crops = [
        u8_to_tensor(
            torch.as_tensor(
                portrait(person(FIRST_PERSON + who), conditions(100 * who + i % PORTRAITS), PORTRAIT_SIZE).picture
            ).movedim(-1, 0)
        )
        for i, who in enumerate(truth)
    ]
    embeddings = embed_crops(recognizer, torch.stack(crops))
    lines = [
        "",
        "# Rendered people",
        "",
        f"The embedded recognizer on {people} rendered people that it has not seen, {PORTRAITS} aligned portraits of "
        f"{PORTRAIT_SIZE} px each: adjusted Rand index of the groups that links below a distance join.",
        "",
        "| distance | groups | adjusted Rand index |",
        "|---|---|---|",
    ]
    for limit in CURVE:
        *_, graph = grow(DistanceGraph.empty((limit,)), embeddings)
        labels = graph.groups(limit)
        lines.append(f"| {limit:g} | {len(set(labels.tolist()))} | {adjusted_rand_score(truth, labels.tolist()):.3f} |")
    return lines
