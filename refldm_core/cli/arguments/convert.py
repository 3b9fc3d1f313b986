"""Write a model as one .safetensors file that holds the U-Net, the first stage and the spec.

examples:
  refldm convert refldm.ckpt --vqgan vqgan.ckpt --output refldm-fp16.safetensors --dtype float16
      Writes a file of a third of the original's size, which cannot contain code. To restore with it:
      refldm restore face.png --reference me.jpg --output out.png --aligned --model refldm-fp16.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .model import DTYPES, add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help='file with the U-Net, or "embedded"')
    parser.add_argument("--output", type=Path, required=True, metavar="X.safetensors", help="file to write")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="type of the weights (default: float32)")
    parser.add_argument(
        "--weights",
        choices=("ema", "raw"),
        default="ema",
        help="copy of the U-Net to keep: the moving average, for sampling, or the raw one, for training (default: ema)",
    )
    parser.add_argument(
        "--trained-on",
        default="",
        metavar="TEXT",
        help='the only kind of pictures that the model knows, such as "rendered people"; commands and nodes warn of it '
        "(default: the text in the source's file)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    add_model_arguments(parser)
