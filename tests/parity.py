"""The one tolerance table, and the checks of parity with the published code.

Each check takes a restorer, so that tests/test_mutations.py can show that a wrong one is caught.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from refldm_core.images import tensor_to_u8
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.progress import Step

from .weights import GOLDEN

FACTOR = 10
"""Tolerance over the largest difference that builds of the published code have among themselves."""

NOISE_FLOOR: dict[str, float] = {
    group: row["max_rel"]
    for group, row in json.loads((GOLDEN / "noise_floor.json").read_text(encoding="utf-8")).items()
}
"""Group of tensors -> largest difference as a fraction of the tensor's rms."""

GRAY_LEVELS = 1
"""Of a final picture: the published script truncates, so a rounding error can cost a whole level."""

CHANNELS_LAST_LATENT = 1e-2
CHANNELS_LAST_CODES = 0.99
"""In channels_last: of the final latent's rms, and the share of codebook indices that must agree. torch's CPU GroupNorm
takes the variance as E[x^2] - E[x]^2 there, which loses digits where the mean is large against the spread (an error of
0.02 at mean 10, deviation 0.1), and this deliberately touchy random network magnifies it. One flipped index is a
visible speck, so no path that claims parity may use channels_last in float32."""


def tolerance(group: str) -> float:
    return FACTOR * NOISE_FLOOR[group]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference as a fraction of the rms of `theirs`."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    rms = theirs.double().square().mean().sqrt()
    return ((ours.double() - theirs.double()).abs().max() / rms).item()


def assert_close(ours: Tensor, theirs: Tensor, group: str, name: str = "") -> None:
    found, allowed = difference(ours, theirs), tolerance(group)
    assert found <= allowed, f"{name or group} differs by {found:.3g} of its rms; {allowed:.3g} is allowed"


@dataclass(frozen=True)
class Trajectory:
    """Settings of a golden DDIM run."""

    name: str
    settings: SamplingSettings
    references: int


TRAJECTORIES = (
    Trajectory("ddim", SamplingSettings(steps=10), 3),
    Trajectory("ddim_1ref_cfg1", SamplingSettings(steps=10, guidance=1.0), 1),
    Trajectory("ddim_uniform_S4", SamplingSettings(steps=4, spacing="uniform"), 3),
)

SEED = 2024


def wide_to_images(golden: dict[str, Tensor], count: int = 3) -> Tensor:
    return torch.cat(golden["in.ref_wide"].chunk(3, dim=-1))[:count]


def check_encode(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    assert_close(restorer.encode(golden["in.lq"]), golden["enc.lq"], "enc.lq")
    assert_close(restorer.encode(golden["in.ref_wide"]), golden["enc.ref_wide"], "enc.ref_wide")
    for i, image in enumerate(wide_to_images(golden)):
        assert_close(restorer.encode(image[None]), golden[f"enc.ref_single.{i}"], "enc.ref_single")
    with torch.no_grad():
        before = restorer.first_stage.encoder(golden["in.lq"])
    assert_close(before, golden["enc.lq_before_quant_conv"], "enc.lq_before_quant_conv")


def check_decode(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    z = golden["dec.z"]
    with torch.no_grad():
        quantized = restorer.first_stage.quantize(z)
        unquantized = restorer.first_stage.decode(z, quantize=False)
    assert torch.equal(quantized.indices, golden["dec.indices"])
    assert_close(quantized.z, golden["dec.quant"], "dec.quant")
    assert_close(restorer.decode(z), golden["dec.image"], "dec.image")
    assert_close(unquantized, golden["dec.image_unquantised"], "dec.image_unquantised")


def check_reference_kv(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    kv = restorer.encode_references(wide_to_images(golden))
    layers = {name.split(".attention")[0].removeprefix("kv.") for name in golden if name.startswith("kv.")}
    assert set(kv.layers) == layers and len(layers) == 10
    for layer in layers:
        for i in range(3):
            _check_layer(kv.select(i), layer, golden, f"kv.{layer}.attention.ref{i}", "kv")


def check_null_kv(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    kv = restorer.null_references(2, (16, 16))
    for layer in kv.layers:
        for i in range(2):
            _check_layer(kv.select(i), layer, golden, f"kv_null.{layer}.attention.ref0", "kv_null")


def _check_layer(kv: ReferenceKV, layer: str, golden: dict[str, Tensor], name: str, group: str) -> None:
    assert_close(kv.layers[layer].k.mT, golden[f"{name}.k"], group, f"{name}.k")
    assert_close(kv.layers[layer].v.mT, golden[f"{name}.v"], group, f"{name}.v")


def check_noise_prediction(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    kv = restorer.encode_references(wide_to_images(golden))
    null = restorer.null_references(3, (16, 16))
    x = torch.cat([golden["unet.x"], restorer.encode(golden["in.lq"])], dim=1)
    for t in (0, 19, 499, 999):
        with torch.no_grad():
            refs, nothing, empty = (restorer.unet(x, torch.tensor([t]), kvs) for kvs in (kv, null, None))
        group = f"unet.t{t}"
        assert_close(refs, golden[f"{group}.refs"], group, f"{group}.refs")
        assert_close(nothing, golden[f"{group}.null"], group, f"{group}.null")
        assert_close(nothing + 1.5 * (refs - nothing), golden[f"{group}.cfg"], group, f"{group}.cfg")
        assert_close(empty, golden[f"{group}.empty_cache"], group, f"{group}.empty_cache")


def check_block_outputs(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    unet, seen = restorer.unet, dict[str, Tensor]()
    groups = {"input_blocks": unet.input_blocks, "output_blocks": unet.output_blocks}
    blocks = {f"{name}.{i}": block for name, group in groups.items() for i, block in enumerate(group)}
    blocks["middle_block"] = unet.middle_block

    def record(name: str) -> Callable[..., None]:
        def hook(module: object, args: object, output: Tensor) -> None:
            seen[name] = output

        return hook

    kv = restorer.encode_references(wide_to_images(golden))
    hooks = [block.register_forward_hook(record(name)) for name, block in blocks.items()]
    with torch.no_grad():
        unet(torch.cat([golden["unet.x"], restorer.encode(golden["in.lq"])], dim=1), torch.tensor([499]), kv)
    for hook in hooks:
        hook.remove()
    names = {name.removeprefix("act.t499.") for name in golden if name.startswith("act.t499.")}
    assert names == set(seen)
    for name in names:
        assert_close(seen[name], golden[f"act.t499.{name}"], "act", name)


def check_trajectory(restorer: Restorer, golden: dict[str, Tensor], run: Trajectory) -> None:
    kv = restorer.encode_references(wide_to_images(golden, run.references))
    steps: list[Step] = []
    z = restorer.sample(restorer.encode(golden["in.lq"]), kv, [SEED], run.settings, steps.append)
    assert_close(torch.stack([s.x for s in steps]), golden[f"{run.name}.x"][1:], f"{run.name}.x")
    assert_close(torch.stack([s.x_0 for s in steps]), golden[f"{run.name}.pred_x0"], f"{run.name}.pred_x0")
    check_final(restorer, golden, run.name, z)


def check_final(restorer: Restorer, golden: dict[str, Tensor], name: str, z: Tensor) -> None:
    """Final codebook indices exactly, final picture within a gray level."""
    with torch.no_grad():
        assert torch.equal(restorer.first_stage.quantize(z).indices, golden[f"{name}.final.indices"])
    levels = tensor_to_u8(restorer.decode(z)).int() - golden[f"{name}.final.image_u8"].int()
    assert levels.abs().max() <= GRAY_LEVELS, f"{name}: {levels.abs().max()} gray levels"


CHECKS: dict[str, Callable[[Restorer, dict[str, Tensor]], None]] = {
    "encode": check_encode,
    "decode": check_decode,
    "reference k and v": check_reference_kv,
    "null k and v": check_null_kv,
    "noise prediction": check_noise_prediction,
    "block outputs": check_block_outputs,
    **{run.name: lambda restorer, golden, run=run: check_trajectory(restorer, golden, run) for run in TRAJECTORIES},
}
"""Every check of a whole model by name."""
