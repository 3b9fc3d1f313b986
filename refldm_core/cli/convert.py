"""The work of `refldm convert`. Its options are in `arguments/convert.py`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..checkpoints.saving import convert
from ..errors import OutputError
from ..files import require_writable
from .options import dtype_of, model_path
from .output import Output


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
    converted = convert(
        source,
        args.output,
        args.vqgan,
        args.config,
        dtype=dtype,
        weights=args.weights,
        trained_on=args.trained_on,
    )
    output.result(
        f"{converted.output}: {converted.bytes / 1e6:,.0f} MB, {args.dtype}, {converted.weights} weights, model "
        f"{converted.fingerprint}",
        {
            "output": str(converted.output),
            "bytes": converted.bytes,
            "dtype": args.dtype,
            "weights": converted.weights,
            "fingerprint": converted.fingerprint,
            "spec": asdict(converted.spec),
        },
    )
    return 0
