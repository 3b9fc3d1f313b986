"""The tolerances of all parity tests, and the checks of parity with the published code.

Each check takes a restorer, so that tests/test_mutations.py can show that it catches a wrong one.
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
"""Ratio of the tolerance to the largest difference between builds of the published code."""

NOISE_FLOOR: dict[str, float] = {
    group: row["max_rel"]
    for group, row in json.loads((GOLDEN / "noise_floor.json").read_text(encoding="utf-8")).items()
}
"""Group of tensors -> largest difference between builds of the published code, as a fraction of the tensor's rms."""

GRAY_LEVELS = 1
"""Largest difference of a final picture. The published script truncates, so a rounding error can cost a whole level."""

CHANNELS_LAST_LATENT = 1e-2
CHANNELS_LAST_CODES = 0.99
"""Limits for a U-Net in channels_last: the largest difference of the final latent as a fraction of its rms, and the
share of codebook indices that must agree. In this format torch's CPU GroupNorm computes the variance as
E[x^2] - E[x]^2, which loses digits where the mean is large compared with the deviation (an error of 0.02 at mean 10,
deviation 0.1). This random network is made to be sensitive and magnifies the error. One flipped index is a visible
speck, so no path that claims parity may use channels_last in float32."""


def tolerance(group: str) -> float:
    return FACTOR * NOISE_FLOOR[group]


def difference(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference as a fraction of the rms of `expected`."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    rms = expected.double().square().mean().sqrt()
    return ((actual.double() - expected.double()).abs().max() / rms).item()


def assert_close(actual: Tensor, expected: Tensor, group: str, name: str = "") -> None:
    deviation, allowed = difference(actual, expected), tolerance(group)
    assert deviation <= allowed, f"{name or group} differs by {deviation:.3g} of its rms; {allowed:.3g} is allowed"


@dataclass(frozen=True)
class Trajectory:
    """The name, settings and number of references of a golden DDIM run."""

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
    """Return the first golden reference images, which are stored side by side as one image."""
    return torch.cat(golden["in.ref_wide"].chunk(3, dim=-1))[:count]


def check_encode(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    assert_close(restorer.encode(golden["in.lq"]), golden["enc.lq"], "enc.lq")
    assert_close(restorer.encode(golden["in.ref_wide"]), golden["enc.ref_wide"], "enc.ref_wide")
    for i, image in enumerate(wide_to_images(golden)):
        assert_close(restorer.encode(image[None]), golden[f"enc.ref_single.{i}"], "enc.ref_single")
    with torch.no_grad():
        before_quant_conv = restorer.first_stage.encoder(golden["in.lq"])
    assert_close(before_quant_conv, golden["enc.lq_before_quant_conv"], "enc.lq_before_quant_conv")


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
            with_references, with_null, without_cache = (
                restorer.unet(x, torch.tensor([t]), references) for references in (kv, null, None)
            )
        guided = with_null + 1.5 * (with_references - with_null)
        group = f"unet.t{t}"
        assert_close(with_references, golden[f"{group}.refs"], group, f"{group}.refs")
        assert_close(with_null, golden[f"{group}.null"], group, f"{group}.null")
        assert_close(guided, golden[f"{group}.cfg"], group, f"{group}.cfg")
        assert_close(without_cache, golden[f"{group}.empty_cache"], group, f"{group}.empty_cache")


def check_block_outputs(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    unet, outputs = restorer.unet, dict[str, Tensor]()
    groups = {"input_blocks": unet.input_blocks, "output_blocks": unet.output_blocks}
    blocks = {f"{name}.{i}": block for name, group in groups.items() for i, block in enumerate(group)}
    blocks["middle_block"] = unet.middle_block

    def record(name: str) -> Callable[..., None]:
        def hook(module: object, args: object, output: Tensor) -> None:
            outputs[name] = output

        return hook

    kv = restorer.encode_references(wide_to_images(golden))
    hooks = [block.register_forward_hook(record(name)) for name, block in blocks.items()]
    with torch.no_grad():
        unet(torch.cat([golden["unet.x"], restorer.encode(golden["in.lq"])], dim=1), torch.tensor([499]), kv)
    for hook in hooks:
        hook.remove()
    names = {name.removeprefix("act.t499.") for name in golden if name.startswith("act.t499.")}
    assert names == set(outputs)
    for name in names:
        assert_close(outputs[name], golden[f"act.t499.{name}"], "act", name)


def check_trajectory(restorer: Restorer, golden: dict[str, Tensor], run: Trajectory) -> None:
    kv = restorer.encode_references(wide_to_images(golden, run.references))
    steps: list[Step] = []
    z = restorer.sample(restorer.encode(golden["in.lq"]), kv, [SEED], run.settings, steps.append)
    assert_close(torch.stack([step.x for step in steps]), golden[f"{run.name}.x"][1:], f"{run.name}.x")
    assert_close(torch.stack([step.x_0 for step in steps]), golden[f"{run.name}.pred_x0"], f"{run.name}.pred_x0")
    check_final(restorer, golden, run.name, z)


def check_final(restorer: Restorer, golden: dict[str, Tensor], name: str, z: Tensor) -> None:
    """Check that the final codebook indices are equal, and the final pictures within `GRAY_LEVELS`."""
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
"""Name -> check of a whole model."""
