"""Derive the specs of U-Net and first stage from the names and shapes of a file's tensors."""

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
class DetectedSpec(Generic[Spec]):
    """A spec, and for each of its fields where its value comes from."""

    spec: Spec
    reasons: Mapping[str, str]


def detect_unet(shapes: Shapes, num_head_channels: int, reason: str = "") -> DetectedSpec[UNetSpec]:
    """Detect the spec of a U-Net.

    Args:
        shapes: Names (without prefix) and shapes of its tensors.
        num_head_channels: Channels of an attention head. Shapes cannot tell this number.
        reason: Where `num_head_channels` comes from, for messages.

    Raises:
        CheckpointError: A tensor is missing, unexpected or of another shape. The message names it.
    """
    first, last = "input_blocks.0.0.weight", "out.2.weight"
    model_channels, in_channels = _shape(shapes, first)[:2]
    levels = _unet_levels(shapes)
    blocks = {len(level.widths) for level in levels}
    if len(blocks) != 1:
        raise _mismatch_error(
            "U-Net", f"its levels have {sorted(blocks)} residual blocks", "the same number of residual blocks per level"
        )
    uneven = [level.widths[0] for level in levels if level.widths[0] % model_channels]
    if uneven:
        raise _mismatch_error(
            "U-Net", f"a level has {uneven[0]} channels", f"multiples of the first level's {model_channels} channels"
        )
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
    return DetectedSpec(spec, reasons)


@dataclass
class _Level:
    """One resolution of the U-Net, with the number of channels of each residual block."""

    widths: list[int]
    has_attention: bool = False


def _unet_levels(shapes: Shapes) -> list[_Level]:
    """Return the levels of the input blocks. A block that is a strided convolution begins the next level."""
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
        raise _mismatch_error("U-Net", "a level has no residual block", "residual blocks input_blocks.1, 2, ...")
    return levels


def detect_first_stage(shapes: Shapes) -> DetectedSpec[FirstStageSpec]:
    """Detect the spec of a first stage. Argument and errors are as for `detect_unet`."""
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
        raise _mismatch_error(
            "first stage", f"its levels have {widths} channels", f"multiples of the first layer's {channels} channels"
        )
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
    return DetectedSpec(spec, reasons)


def _shape(shapes: Shapes, name: str, dimensions: int = 4) -> tuple[int, ...]:
    if name not in shapes:
        raise CheckpointError(
            f"The tensor {name} is missing.",
            expected="a ReF-LDM U-Net and first stage in the published layout",
            remedy="check that this is a ReF-LDM file and not another model's",
        )
    if len(shapes[name]) != dimensions or not all(shapes[name]):
        raise _mismatch_error(
            "part", f"the tensor {name} has the shape {shapes[name]}", f"{dimensions} dimensions, none of them 0"
        )
    return shapes[name]


def _mismatch_error(part: str, problem: str, expected: str) -> CheckpointError:
    return CheckpointError(
        f"This is no {part} of ReF-LDM: {problem}.",
        expected=expected,
        remedy="check that this is a ReF-LDM file and not another model's",
    )


def _require_same_tensors(part: str, shapes: Shapes, make: Callable[[], nn.Module]) -> None:
    """Compare the tensors with an empty network of the detected spec. The error reports every difference."""
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    misshapen = [f"{n} {shapes[n]}, not {expected[n]}" for n in expected if n in shapes and shapes[n] != expected[n]]
    problems = [
        f"{len(names)} {problem} ({_list_first(names)})"
        for problem, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"The {part}'s tensors do not fit together: {'; '.join(problems)}.",
            expected=f"the {len(expected)} tensors that the first blocks' shapes imply",
            remedy="get the file again; it is incomplete or of another architecture",
        )


def _list_first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
