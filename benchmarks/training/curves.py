"""Draw curves of training runs in one picture.

example:
  python -m benchmarks.training.curves runs/first_stage:autoencoder/psnr runs/refldm:unet/noise --output curves.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from refldm_core.files import atomic_write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN:NAME", help="folder of a run, and name of a logged value")
    parser.add_argument("--output", type=Path, required=True, help="picture file to write")
    parser.add_argument("--smooth", type=int, default=25, help="logged values that a point averages (default: 25)")
    args = parser.parse_args()
    columns = min(3, len(args.runs))
    rows = -(-len(args.runs) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    for i, run in enumerate(args.runs, 1):
        folder, _, name = run.rpartition(":")
        steps, values = read(Path(folder) / "log.jsonl", name)
        axes = figure.add_subplot(rows, columns, i)
        axes.plot(steps, values, color="#cfd8e3", linewidth=0.6)
        axes.plot(*block_averages(steps, values, args.smooth), color="#1f5fa8", linewidth=1.4)
        axes.set_title(f"{Path(folder).name}: {name.rpartition('/')[2]}", fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        low, high = np.percentile(values, [0.5, 99.0])
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    with atomic_write(args.output) as temporary:
        figure.savefig(temporary, format=args.output.suffix[1:] or "png", dpi=110)


def read(path: Path, name: str) -> tuple[list[int], list[float]]:
    """Read the steps and values that were logged under a name."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    entries = [(row["step"], row[name]) for row in rows if name in row]
    if not entries:
        raise SystemExit(f"{path} has no {name}; it has {', '.join(sorted(rows[-1]))}.")
    return [step for step, _ in entries], [value for _, value in entries]


def block_averages(steps: list[int], values: list[float], width: int) -> tuple[list[float], list[float]]:
    """Average stretches of `width` logged values: mean steps and mean values."""
    starts = range(0, len(steps), width)
    return [float(np.mean(steps[s : s + width])) for s in starts], [
        float(np.mean(values[s : s + width])) for s in starts
    ]


if __name__ == "__main__":
    main()
