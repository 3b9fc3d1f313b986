"""Describe a model file: its spec, the source of each value of the spec, and the missing parts.

examples:
  refldm inspect refldm.ckpt
  refldm inspect model.ckpt --config refldm.yaml --json
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help='a .ckpt, .pt, .pth or .safetensors file, or "embedded"'
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML of the published layout that describes it")
