from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from refldm_core.diffusion.schedule import NoiseSpec, sampling_table
from refldm_core.errors import ReferencesError, SettingsError
from refldm_core.model import vqgan
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.progress import Step

from .conftest import load_restorer
from .parity import assert_close, difference, tolerance
from .weights import TinyFiles

FEW = SamplingSettings(steps=4)


def test_a_batch_with_different_references_equals_each_alone(restorer: Restorer, reference_images: Tensor) -> None:
    crops = reference_images.flip(-1)
    three = restorer.encode_references(reference_images)
    sets, seeds = [three, None, three.select(0)], [1, 2, 3]
    latents = restorer.encode(crops)
    together = restorer.sample(latents, sets, seeds, FEW)
    for i in range(3):
        alone = restorer.sample(latents[i : i + 1], sets[i], seeds[i : i + 1], FEW)
        assert difference(together[i : i + 1], alone) <= tolerance("ddim.x")


def test_restore_gives_pictures(restorer: Restorer, reference_images: Tensor) -> None:
    steps: list[Step] = []
    kv = restorer.encode_references(reference_images[:2], "separate")
    restored = restorer.restore(reference_images[2:], kv, [5], FEW, steps.append)
    assert restored.shape == (1, 3, 128, 128) and restored.dtype == torch.float32
    assert restored.min() >= -1.0 and restored.max() <= 1.0 and restored.std() > 0.1
    assert [s.done for s in steps] == [1, 2, 3, 4]


def test_separate_encoding_does_not_depend_on_the_others(restorer: Restorer, reference_images: Tensor) -> None:
    pair = restorer.encode_references(reference_images[:2], "separate")
    one = restorer.encode_references(reference_images[:1], "separate")
    joint = restorer.encode_references(reference_images[:2], "joint")
    layer = "middle_block.1"
    k = pair.select(0).layers[layer].k
    torch.testing.assert_close(k, one.layers[layer].k, rtol=1e-3, atol=1e-3)
    assert difference(joint.select(0).layers[layer].k, k) > 0.1


def _sampled(restorer: Restorer, lq: Tensor, kv: ReferenceKV | None, **settings: Any) -> tuple[Tensor, list[int]]:
    """The latent after 5 steps from timestep 999 down to 199, and the U-Net's rows in each."""
    rows: list[int] = []
    hook = restorer.unet.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    try:
        return restorer.sample(restorer.encode(lq), kv, [0], SamplingSettings(steps=5, **settings)), rows
    finally:
        hook.remove()


@pytest.mark.parametrize(("guidance", "references", "branches"), [(1.5, True, 2), (1.0, True, 1), (1.5, False, 1)])
def test_network_calls_for_each_step(
    restorer: Restorer, reference_images: Tensor, guidance: float, references: bool, branches: int
) -> None:
    kv = restorer.encode_references(reference_images) if references else None
    assert _sampled(restorer, reference_images[:1], kv, guidance=guidance)[1] == [branches] * 5


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_guidance_interval(restorer: Restorer, reference_images: Tensor, sampler: str) -> None:
    kv, lq = restorer.encode_references(reference_images[:2]), reference_images[2:]

    def sampled(**settings: Any) -> tuple[Tensor, list[int]]:
        return _sampled(restorer, lq, kv, sampler=sampler, **settings)

    on, off = sampled(), sampled(guidance=1.0)
    everywhere, nowhere = sampled(guidance_interval=(199, 999)), sampled(guidance_interval=(0, 198))
    assert torch.equal(everywhere[0], on[0]) and everywhere[1] == on[1] == [2] * 5
    assert torch.equal(nowhere[0], off[0]) and nowhere[1] == off[1] == [1] * 5
    part, rows = sampled(guidance_interval=(399, 799))
    assert rows == [1, 2, 2, 2, 1]
    assert min(difference(part, on[0]), difference(part, off[0])) > tolerance("ddim.x")


@pytest.mark.parametrize("interval", [(-1, 999), (0, 1000), (600, 400)])
def test_guidance_interval_without_meaning(interval: tuple[int, int]) -> None:
    with pytest.raises(SettingsError, match=f"from timestep {interval[0]} to {interval[1]} has no meaning") as caught:
        SamplingSettings(guidance_interval=interval)
    assert "0 (clean) to 999" in caught.value.expected and caught.value.remedy


def test_a_model_of_more_timesteps_is_guided_in_all_of_them(restorer: Restorer, reference_images: Tensor) -> None:
    longer = Restorer(restorer.unet, restorer.first_stage, replace(restorer.spec, noise=NoiseSpec(timesteps=2000)))
    assert _sampled(longer, reference_images[:1], longer.encode_references(reference_images))[1] == [2] * 5


def test_the_null_reference_is_kept_until_the_weights_change(
    tiny: TinyFiles, reference_images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    restorer = load_restorer(tiny.ckpt, tiny.config)
    kv = restorer.encode_references(reference_images)
    latents = restorer.encode(reference_images[:1])
    made: list[int] = []
    encode = restorer.unet.encode_references
    monkeypatch.setattr(restorer.unet, "encode_references", lambda z: (made.append(len(z)), encode(z))[1])

    def sample(references: ReferenceKV) -> Tensor:
        return restorer.sample(latents, references, [1], SamplingSettings(steps=2))

    first = sample(kv)
    assert torch.equal(sample(kv), first) and made == [1]
    sample(kv.select(0, 1))  # another number of it
    assert made == [1]
    with torch.no_grad():
        next(restorer.unet.parameters()).mul_(1.1)
    sample(kv)
    assert made == [1, 1]


@pytest.mark.parametrize(("pictures_at_once", "parts"), [(0.5, [1, 1, 1]), (2, [2, 1]), (3, [3])])
def test_the_cpu_encodes_and_decodes_few_pictures_at_a_time(
    restorer: Restorer,
    reference_images: Tensor,
    pictures_at_once: float,
    parts: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = restorer.encode(reference_images)
    pictures = restorer.decode(whole)
    monkeypatch.setattr(vqgan, "PIXELS_AT_ONCE", int(pictures_at_once * 128 * 128))
    seen: dict[nn.Module, list[int]] = {restorer.first_stage.encoder: [], restorer.first_stage.decoder: []}
    hooks = [part.register_forward_hook(lambda m, args, _: seen[m].append(len(args[0]))) for part in seen]
    try:
        assert_close(restorer.encode(reference_images), whole, "enc.lq")
        assert_close(restorer.decode(whole), pictures, "dec.image")
    finally:
        for hook in hooks:
            hook.remove()
    assert list(seen.values()) == [parts, parts]


def test_no_reference_image(restorer: Restorer) -> None:
    with pytest.raises(ReferencesError, match="no reference image"):
        restorer.encode_references(torch.empty(0, 3, 128, 128))


@pytest.mark.parametrize("settings", [{"eta": 1.5}, {"eta": -0.1}, {"eta": 0.5, "sampler": "dpmpp_2m"}])
def test_eta_without_meaning(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="eta"):
        SamplingSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(restorer: Restorer, reference_images: Tensor, dtype: torch.dtype) -> None:
    """The noise prediction, not the picture: sampling this random network magnifies any difference."""
    unet = UNet(restorer.spec.unet)
    unet.load_state_dict(restorer.unet.state_dict())
    unet.fingerprint = restorer.unet.fingerprint
    half = Restorer(unet.to(dtype), restorer.first_stage, restorer.spec)
    assert half.dtype == dtype
    kv = half.encode_references(reference_images)
    assert kv.dtype == dtype
    x = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = half.unet(x.to(dtype), torch.tensor([499]), kv).float()
        exact = restorer.unet(x, torch.tensor([499]), restorer.encode_references(reference_images))
    bound = {torch.bfloat16: 0.25, torch.float16: 0.05}[dtype]
    assert (ours - exact).square().mean().sqrt() <= bound * exact.square().mean().sqrt()
    assert half.sample(half.encode(reference_images[:1]), kv, [0], FEW).isfinite().all()


def test_strength_is_how_far_a_picture_may_move(restorer: Restorer, reference_images: Tensor) -> None:
    crop, kv = reference_images[:1], restorer.encode_references(reference_images[1:])
    own = restorer.encode(crop)

    def moved(strength: float) -> float:
        settings = SamplingSettings(steps=4, strength=strength)
        return float((restorer.sample(own, kv, [3], settings) - own).square().mean())

    assert moved(0.0) == 0.0 < moved(0.004) < 0.1 * moved(0.3) < moved(1.0)
    assert torch.equal(restorer.restore(crop, kv, [3], SamplingSettings(strength=0.0)), crop)
    assert torch.equal(
        restorer.sample(own, kv, [3], SamplingSettings(steps=4, strength=1.0)), restorer.sample(own, kv, [3], FEW)
    )


@pytest.mark.parametrize(("strength", "noisiest"), [(1.0, 999), (0.5, 499), (0.2, 199), (0.001, 3)])
def test_strength_is_the_part_of_the_noise_levels(strength: float, noisiest: int) -> None:
    table = sampling_table(NoiseSpec(), 4, "trailing", strength)
    assert len(table) == 4 and next(table.steps()).timestep == noisiest


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_no_strength_takes_more_steps_than_there_are(strength: float) -> None:
    with pytest.raises(SettingsError, match="1001 sampling steps"):
        sampling_table(NoiseSpec(), 1001, "trailing", strength)
