"""Write a model as one .safetensors file that holds U-Net, first stage and spec.

examples:
  refldm convert refldm.ckpt --vqgan vqgan.ckpt --output refldm-fp16.safetensors --dtype float16
      A third of the original's size, and nothing in it can run code. Then:
      refldm restore face.png --reference me.jpg --output out.png --aligned --model refldm-fp16.safetensors
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..checkpoints.saving import convert
from ..errors import OutputError
from ..files import require_writable
from .options import DTYPES, add_model_arguments, dtype_of, model_path
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help='file with the U-Net, or "embedded"')
    parser.add_argument("--output", type=Path, required=True, metavar="X.safetensors", help="file to write")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the weights (default: float32)")
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
        help='the only kind of pictures that the model knows, such as "rendered people", which commands and nodes then '
        "say (default: what the source's file says)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_model_arguments(parser)


def run(args: argparse.Namespace, output: Output) -> int:
    if args.output.suffix != ".safetensors":
        raise OutputError(
            f'"{args.output.name}" does not end in .safetensors.',
            expected="a .safetensors file",
            remedy=f"write to {args.output.with_suffix('.safetensors').name}",
        )
    if args.output.exists() and not args.overwrite:
        raise OutputError(
            f"{args.output} exists already.", expected="a new file", remedy="choose another name, or add --overwrite"
        )
    require_writable(args.output)
    source, dtype = model_path(args.file), dtype_of(args.dtype)
    done = convert(
        source,
        args.output,
        args.vqgan,
        args.config,
        dtype=dtype,
        weights=args.weights,
        trained_on=args.trained_on,
    )
    output.result(
        f"{done.output}: {done.bytes / 1e6:,.0f} MB, {args.dtype}, {done.weights} weights, model {done.fingerprint}",
        {
            "output": str(done.output),
            "bytes": done.bytes,
            "dtype": args.dtype,
            "weights": done.weights,
            "fingerprint": done.fingerprint,
            "spec": asdict(done.spec),
        },
    )
    return 0
