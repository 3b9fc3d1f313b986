"""Train a model: the first stage, the diffusion model with or without references, or a small face network.

examples:
  refldm train training/first_stage.yaml
  refldm train training/refldm.yaml --set run.steps=200000 --set optimizer.learning_rate=1e-5
  accelerate launch --num_processes 8 -m refldm_core train training/refldm.yaml

The same command continues an interrupted run, exactly from its last saved state. The folder of a run holds the
effective config, log.jsonl and TensorBoard logs, sample grids, and the model in the published layout.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML of the run (see docs/training.md)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run, instead of that in the config")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the config, for instance run.steps=1000; repeat it for each value",
    )
