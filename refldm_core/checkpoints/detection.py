"""Tensor names and shapes -> specs, with a reason for each value found and for each failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from ..errors import CheckpointError
from ..model.unet import UNet, UNetSpec
from ..model.vqgan import FirstStage, FirstStageSpec
from .hints import build_spec
from .layout import CODEBOOK

Shapes = Mapping[str, tuple[int, ...]]
Spec = TypeVar("Spec", UNetSpec, FirstStageSpec)


@dataclass(frozen=True)
class Detected(Generic[Spec]):
    """A spec, and for each of its fields how its value is known."""

    spec: Spec
    reasons: Mapping[str, str]


def detect_unet(shapes: Shapes, num_head_channels: int, reason: str = "") -> Detected[UNetSpec]:
    """Spec of a U-Net.

    Args:
        shapes: names (without prefix) and shapes of its tensors.
        num_head_channels: which shapes cannot tell.
        reason: where it comes from, for messages.

    Raises:
        CheckpointError: naming the tensor that is missing, superfluous or of another shape.
    """
    first, last = "input_blocks.0.0.weight", "out.2.weight"
    model_channels, in_channels = _shape(shapes, first)[:2]
    levels = _unet_levels(shapes)
    blocks = {len(level.widths) for level in levels}
    if len(blocks) != 1:
        raise _not(
            "U-Net", f"its levels have {sorted(blocks)} residual blocks", "as many residual blocks in each level"
        )
    uneven = [level.widths[0] for level in levels if level.widths[0] % model_channels]
    if uneven:
        raise _not("U-Net", f"a level is {uneven[0]} wide", f"multiples of the first level's {model_channels}")
    mults = tuple(level.widths[0] // model_channels for level in levels)
    attention = tuple(2**i for i, level in enumerate(levels) if level.has_attention)
    reasons = {
        "in_channels": f"columns of {first}",
        "out_channels": f"rows of {last}",
        "model_channels": f"rows of {first}",
        "channel_mult": "widths of input_blocks.*.0.in_layers.2.weight",
        "num_res_blocks": "input blocks between one input_blocks.*.0.op and the next",
        "attention_downsampling": "levels that have input_blocks.*.1.qkv",
    }
    spec = build_spec(
        lambda: UNetSpec(
            in_channels=in_channels,
            out_channels=_shape(shapes, last)[0],
            model_channels=model_channels,
            channel_mult=mults,
            num_res_blocks=blocks.pop(),
            attention_downsampling=attention,
            num_head_channels=num_head_channels,
        ),
        {**reasons, "num_head_channels": reason},
    )
    _require_same_tensors("U-Net", shapes, lambda: UNet(spec))
    return Detected(spec, reasons)


@dataclass
class _Level:
    widths: list[int]
    has_attention: bool = False


def _unet_levels(shapes: Shapes) -> list[_Level]:
    """Walk the input blocks; a block that is a strided convolution begins the next level."""
    levels = [_Level([])]
    index = 1
    blocks = {name.split(".")[1] for name in shapes if name.startswith("input_blocks.")}
    while str(index) in blocks:
        block = f"input_blocks.{index}"
        if f"{block}.0.op.weight" in shapes:
            levels.append(_Level([]))
        else:
            levels[-1].widths.append(_shape(shapes, f"{block}.0.in_layers.2.weight")[0])
            levels[-1].has_attention |= f"{block}.1.qkv.weight" in shapes
        index += 1
    if not all(level.widths for level in levels):
        raise _not("U-Net", "a level has no residual block", "residual blocks input_blocks.1, 2, ...")
    return levels


def detect_first_stage(shapes: Shapes) -> Detected[FirstStageSpec]:
    """Spec of a first stage; see `detect_unet` for the argument and errors."""
    codebook, conv_in, conv_out = CODEBOOK, "encoder.conv_in.weight", "encoder.conv_out.weight"
    size, dim = _shape(shapes, codebook, 2)
    channels, image_channels = _shape(shapes, conv_in)[:2]
    widths: list[int] = []
    while f"encoder.down.{len(widths)}.block.0.conv1.weight" in shapes:
        widths.append(_shape(shapes, f"encoder.down.{len(widths)}.block.0.conv1.weight")[0])
    blocks = 0
    while f"encoder.down.0.block.{blocks}.conv1.weight" in shapes:
        blocks += 1
    if not widths or any(width % channels for width in widths):
        raise _not("first stage", f"its levels are {widths} wide", f"multiples of the input's {channels}")
    reasons = {
        "image_channels": f"columns of {conv_in}",
        "channels": f"rows of {conv_in}",
        "channel_mult": "widths of encoder.down.*.block.0.conv1.weight",
        "num_res_blocks": "number of encoder.down.0.block.*",
        "z_channels": f"rows of {conv_out}",
        "embed_dim": f"columns of {codebook}",
        "codebook_size": f"rows of {codebook}",
    }
    spec = build_spec(
        lambda: FirstStageSpec(
            image_channels=image_channels,
            channels=channels,
            channel_mult=tuple(width // channels for width in widths),
            num_res_blocks=blocks,
            z_channels=_shape(shapes, conv_out)[0],
            embed_dim=dim,
            codebook_size=size,
        ),
        reasons,
    )
    _require_same_tensors("first stage", shapes, lambda: FirstStage(spec))
    return Detected(spec, reasons)


def _shape(shapes: Shapes, name: str, dimensions: int = 4) -> tuple[int, ...]:
    if name not in shapes:
        raise CheckpointError(
            f"The tensor {name} is missing.",
            expected="a ReF-LDM U-Net and first stage in the published layout",
            remedy="check that this is a ReF-LDM file and not another model's",
        )
    if len(shapes[name]) != dimensions or not all(shapes[name]):
        raise _not(
            "part", f"the tensor {name} has the shape {shapes[name]}", f"{dimensions} dimensions, none of them 0"
        )
    return shapes[name]


def _not(part: str, found: str, expected: str) -> CheckpointError:
    return CheckpointError(
        f"This is no {part} of ReF-LDM: {found}.",
        expected=expected,
        remedy="check that this is a ReF-LDM file and not another model's",
    )


def _require_same_tensors(part: str, shapes: Shapes, make: Callable[[], nn.Module]) -> None:
    """Compare with an empty model of the detected spec, so that what is reported is everything that is wrong."""
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}
    missing = [name for name in expected if name not in shapes]
    extra = [name for name in shapes if name not in expected]
    other = [f"{n} {shapes[n]}, not {expected[n]}" for n in expected if n in shapes and shapes[n] != expected[n]]
    problems = [
        f"{len(names)} {what} ({_some(names)})"
        for what, names in (("missing", missing), ("unexpected", extra), ("of another shape", other))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"The {part}'s tensors do not fit together: {'; '.join(problems)}.",
            expected=f"the {len(expected)} tensors that the first blocks' shapes imply",
            remedy="get the file again; it is incomplete or of another architecture",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
