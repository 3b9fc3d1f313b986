"""Say what a model file is: its spec, how each part was recognized, what is missing.

examples:
  refldm inspect refldm.ckpt
  refldm inspect model.ckpt --config refldm.yaml --json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoints.building import Inspected, inspect_file
from ..checkpoints.training_data import TRAINED_ON_KEY
from ..model.variants import RELEASED
from .options import model_path
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help='a .ckpt, .pt, .pth or .safetensors file, or "embedded"'
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML of the published layout to read it with")


def run(args: argparse.Namespace, output: Output) -> int:
    described = _describe(inspect_file(model_path(args.file), args.config))
    output.result("\n".join(_in_words(described)), described)
    return 0


def _describe(found: Inspected) -> dict[str, Any]:
    hints = found.hints
    parts: dict[str, Any] = {}
    if found.unet:
        used, weights = found.unet_weights("ema")
        reasons = {**found.unet.reasons, "num_head_channels": hints.reasons["num_head_channels"]}
        parts["U-Net"] = {
            **_part(asdict(found.unet.spec), reasons, weights),
            "copies": "raw and ema" if found.parts.unet_ema else used,
            "used for sampling": used,
            "fingerprint": found.fingerprint(weights),
        }
        elsewhere = [name for name in hints.values if name != "num_head_channels"]
        parts["diffusion"] = {"spec": {name: _known(hints.values[name], hints.reasons[name]) for name in elsewhere}}
    if found.first_stage:
        first_stage = found.first_stage
        parts["first stage"] = _part(asdict(first_stage.spec), first_stage.reasons, found.parts.first_stage)
    return {
        "file": str(found.file.path),
        "format": found.file.format,
        "trained on": found.file.metadata.get(TRAINED_ON_KEY),
        "is": _kind(found),
        "parts": parts,
        "ignored": dict(found.parts.ignored),
        "missing": found.missing,
    }


def _kind(found: Inspected) -> str:
    if found.unet is None:
        same = found.first_stage is not None and found.first_stage.spec == RELEASED.first_stage
        return "a ReF-LDM first stage" + (" of the released architecture" if same else "")
    same = found.unet.spec == RELEASED.unet
    return "a ReF-LDM model" + (" of the released architecture" if same else "")


def _part(spec: dict[str, Any], reasons: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "type": ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})),
        "spec": {name: _known(value, reasons[name]) for name, value in spec.items()},
    }


def _known(value: Any, reason: str) -> dict[str, Any]:
    return {"value": value, "known from": reason}


def _in_words(described: dict[str, Any]) -> Iterator[str]:
    yield f"{described['file']} ({described['format']}): {described['is']}"
    if described["trained on"]:
        yield f"trained on {described['trained on']} only"
    for name, part in described["parts"].items():
        yield ""
        yield name + (f": {part['parameters']:,} parameters, {part['type']}" if "parameters" in part else "")
        for label in ("copies", "used for sampling", "fingerprint"):
            if label in part:
                yield f"  {label}: {part[label]}"
        for field, known in part["spec"].items():
            yield f"  {field + ' = ' + str(known['value']):<38} {known['known from']}"
    yield ""
    if described["ignored"]:
        counts = ", ".join(f"{count} {prefix}*" for prefix, count in described["ignored"].items())
        yield f"not needed for restoring: {counts}"
    yield f"missing for restoring: {', '.join(described['missing']) or 'nothing'}"
