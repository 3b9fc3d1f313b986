"""The work of `refldm inspect`. Its options are in `arguments/inspect.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from ..checkpoints.building import Inspected, inspect_file
from ..checkpoints.training_data import TRAINED_ON_KEY
from ..model.variants import RELEASED
from .options import model_path
from .output import Output


def run(args: argparse.Namespace, output: Output) -> int:
    described = _describe(inspect_file(model_path(args.file), args.config))
    output.result("\n".join(_in_words(described)), described)
    return 0


def _describe(model: Inspected) -> dict[str, Any]:
    hints = model.hints
    parts: dict[str, Any] = {}
    if model.unet:
        used, weights = model.unet_weights("ema")
        reasons = {**model.unet.reasons, "num_head_channels": hints.reasons["num_head_channels"]}
        parts["U-Net"] = {
            **_part(asdict(model.unet.spec), reasons, weights),
            "copies": "raw and ema" if model.parts.unet_ema else used,
            "used for sampling": used,
            "fingerprint": model.fingerprint(weights),
        }
        diffusion = [name for name in hints.values if name != "num_head_channels"]
        parts["diffusion"] = {
            "spec": {name: _value_with_reason(hints.values[name], hints.reasons[name]) for name in diffusion}
        }
    if model.first_stage:
        first_stage = model.first_stage
        parts["first stage"] = _part(asdict(first_stage.spec), first_stage.reasons, model.parts.first_stage)
    return {
        "file": str(model.file.path),
        "format": model.file.format,
        "trained on": model.file.metadata.get(TRAINED_ON_KEY),
        "is": _kind(model),
        "parts": parts,
        "ignored": dict(model.parts.ignored),
        "missing": model.missing,
    }


def _kind(model: Inspected) -> str:
    if model.unet is None:
        is_released = model.first_stage is not None and model.first_stage.spec == RELEASED.first_stage
        kind = "a ReF-LDM first stage"
    else:
        is_released = model.unet.spec == RELEASED.unet
        kind = "a ReF-LDM model"
    return kind + (" of the released architecture" if is_released else "")


def _part(spec: dict[str, Any], reasons: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "type": ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})),
        "spec": {name: _value_with_reason(value, reasons[name]) for name, value in spec.items()},
    }


def _value_with_reason(value: Any, reason: str) -> dict[str, Any]:
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
        for field, entry in part["spec"].items():
            yield f"  {field + ' = ' + str(entry['value']):<38} {entry['known from']}"
    yield ""
    if described["ignored"]:
        counts = ", ".join(f"{count} {prefix}*" for prefix, count in described["ignored"].items())
        yield f"not needed for restoring: {counts}"
    yield f"missing for restoring: {', '.join(described['missing']) or 'nothing'}"
