"""Sampling with references, guidance and strength, in batches and in half precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from refldm_core import pipeline
from refldm_core.diffusion.sampling import initial_noise, noise_latents
from refldm_core.diffusion.schedule import NoiseSpec, sampling_table, sampling_timesteps
from refldm_core.errors import ReferencesError, SettingsError
from refldm_core.model import vqgan
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.progress import Step

from .conftest import load_restorer
from .parity import assert_close, difference, tolerance
from .weights import TinyFiles

FOUR_STEPS = SamplingSettings(steps=4)


def test_batch_items_with_different_references_are_independent(restorer: Restorer, reference_images: Tensor) -> None:
    crops = reference_images.flip(-1)
    kv = restorer.encode_references(reference_images)
    references, seeds = [kv, None, kv.select(0)], [1, 2, 3]
    latents = restorer.encode(crops)
    batch = restorer.sample(latents, references, seeds, FOUR_STEPS)
    for i in range(3):
        single = restorer.sample(latents[i : i + 1], references[i], seeds[i : i + 1], FOUR_STEPS)
        assert difference(batch[i : i + 1], single) <= tolerance("ddim.x")


def test_restore_returns_pictures_and_reports_each_step(restorer: Restorer, reference_images: Tensor) -> None:
    steps: list[Step] = []
    kv = restorer.encode_references(reference_images[:2], "separate")
    restored = restorer.restore(reference_images[2:], kv, [5], FOUR_STEPS, steps.append)
    assert restored.shape == (1, 3, 128, 128) and restored.dtype == torch.float32
    assert restored.min() >= -1.0 and restored.max() <= 1.0 and restored.std() > 0.1
    assert [step.done for step in steps] == [1, 2, 3, 4]


def test_separate_encoding_does_not_depend_on_other_references(restorer: Restorer, reference_images: Tensor) -> None:
    pair = restorer.encode_references(reference_images[:2], "separate")
    single = restorer.encode_references(reference_images[:1], "separate")
    joint = restorer.encode_references(reference_images[:2], "joint")
    layer = "middle_block.1"
    k = pair.select(0).layers[layer].k
    torch.testing.assert_close(k, single.layers[layer].k, rtol=1e-3, atol=1e-3)
    assert difference(joint.select(0).layers[layer].k, k) > 0.1


def _sample_five_steps(
    restorer: Restorer, lq: Tensor, kv: ReferenceKV | None, **settings: Any
) -> tuple[Tensor, list[int]]:
    """Sample 5 steps from timestep 999 down to 199. Return the latent and the U-Net's batch size in each step."""
    batch_sizes: list[int] = []
    hook = restorer.unet.register_forward_hook(lambda module, args, output: batch_sizes.append(len(output)))
    try:
        return restorer.sample(restorer.encode(lq), kv, [0], SamplingSettings(steps=5, **settings)), batch_sizes
    finally:
        hook.remove()


@pytest.mark.parametrize(("guidance", "references", "branches"), [(1.5, True, 2), (1.0, True, 1), (1.5, False, 1)])
def test_only_guidance_with_references_needs_a_second_branch(
    restorer: Restorer, reference_images: Tensor, guidance: float, references: bool, branches: int
) -> None:
    kv = restorer.encode_references(reference_images) if references else None
    assert _sample_five_steps(restorer, reference_images[:1], kv, guidance=guidance)[1] == [branches] * 5


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_only_steps_in_the_guidance_interval_are_guided(
    restorer: Restorer, reference_images: Tensor, sampler: str
) -> None:
    kv, lq = restorer.encode_references(reference_images[:2]), reference_images[2:]

    def sample(**settings: Any) -> tuple[Tensor, list[int]]:
        return _sample_five_steps(restorer, lq, kv, sampler=sampler, **settings)

    guided, unguided = sample(), sample(guidance=1.0)
    all_steps, no_step = sample(guidance_interval=(199, 999)), sample(guidance_interval=(0, 198))
    assert torch.equal(all_steps[0], guided[0]) and all_steps[1] == guided[1] == [2] * 5
    assert torch.equal(no_step[0], unguided[0]) and no_step[1] == unguided[1] == [1] * 5
    middle_steps, batch_sizes = sample(guidance_interval=(399, 799))
    assert batch_sizes == [1, 2, 2, 2, 1]
    assert min(difference(middle_steps, guided[0]), difference(middle_steps, unguided[0])) > tolerance("ddim.x")


@pytest.mark.parametrize("interval", [(-1, 999), (0, 1000), (600, 400)])
def test_a_guidance_interval_without_meaning_is_refused(interval: tuple[int, int]) -> None:
    with pytest.raises(SettingsError, match=f"from timestep {interval[0]} to {interval[1]} has no meaning") as caught:
        SamplingSettings(guidance_interval=interval)
    assert "0 (clean) to 999" in caught.value.expected and caught.value.remedy


def test_a_model_with_more_timesteps_is_guided_in_all_of_them(restorer: Restorer, reference_images: Tensor) -> None:
    spec = replace(restorer.spec, noise=NoiseSpec(timesteps=2000))
    longer = Restorer(restorer.unet, restorer.first_stage, spec)
    kv = longer.encode_references(reference_images)
    assert _sample_five_steps(longer, reference_images[:1], kv)[1] == [2] * 5


def test_the_null_reference_is_encoded_again_only_if_the_weights_change(
    tiny: TinyFiles, reference_images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    restorer = load_restorer(tiny.ckpt, tiny.config)
    kv = restorer.encode_references(reference_images)
    latents = restorer.encode(reference_images[:1])
    encoded: list[int] = []
    encode = restorer.unet.encode_references
    monkeypatch.setattr(restorer.unet, "encode_references", lambda z: (encoded.append(len(z)), encode(z))[1])

    def sample(references: ReferenceKV) -> Tensor:
        return restorer.sample(latents, references, [1], SamplingSettings(steps=2))

    first = sample(kv)
    assert torch.equal(sample(kv), first) and encoded == [1]
    sample(kv.select(0, 1))  # needs another number of null references
    assert encoded == [1]
    with torch.no_grad():
        next(restorer.unet.parameters()).mul_(1.1)
    sample(kv)
    assert encoded == [1, 1]


@pytest.mark.parametrize(("pictures_at_once", "batch_sizes"), [(0.5, [1, 1, 1]), (2, [2, 1]), (3, [3])])
def test_the_cpu_encodes_and_decodes_few_pictures_at_a_time(
    restorer: Restorer,
    reference_images: Tensor,
    pictures_at_once: float,
    batch_sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latents = restorer.encode(reference_images)
    pictures = restorer.decode(latents)
    monkeypatch.setattr(vqgan, "PIXELS_AT_ONCE", int(pictures_at_once * 128 * 128))
    recorded: dict[nn.Module, list[int]] = {restorer.first_stage.encoder: [], restorer.first_stage.decoder: []}
    hooks = [
        module.register_forward_hook(lambda module, args, _: recorded[module].append(len(args[0])))
        for module in recorded
    ]
    try:
        assert_close(restorer.encode(reference_images), latents, "enc.lq")
        assert_close(restorer.decode(latents), pictures, "dec.image")
    finally:
        for hook in hooks:
            hook.remove()
    assert list(recorded.values()) == [batch_sizes, batch_sizes]


def test_encoding_no_reference_image_is_an_error(restorer: Restorer) -> None:
    with pytest.raises(ReferencesError, match="no reference image"):
        restorer.encode_references(torch.empty(0, 3, 128, 128))


@pytest.mark.parametrize("settings", [{"eta": 1.5}, {"eta": -0.1}, {"eta": 0.5, "sampler": "dpmpp_2m"}])
def test_an_eta_without_meaning_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="eta"):
        SamplingSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_predicts_nearly_the_same_noise(
    restorer: Restorer, reference_images: Tensor, dtype: torch.dtype
) -> None:
    """The test compares noise predictions, since sampling with this random network magnifies any difference."""
    unet = UNet(restorer.spec.unet)
    unet.load_state_dict(restorer.unet.state_dict())
    unet.fingerprint = restorer.unet.fingerprint
    half = Restorer(unet.to(dtype), restorer.first_stage, restorer.spec)
    assert half.dtype == dtype
    kv = half.encode_references(reference_images)
    assert kv.dtype == dtype
    x = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        prediction = half.unet(x.to(dtype), torch.tensor([499]), kv).float()
        exact = restorer.unet(x, torch.tensor([499]), restorer.encode_references(reference_images))
    bound = {torch.bfloat16: 0.25, torch.float16: 0.05}[dtype]
    assert (prediction - exact).square().mean().sqrt() <= bound * exact.square().mean().sqrt()
    assert half.sample(half.encode(reference_images[:1]), kv, [0], FOUR_STEPS).isfinite().all()


def test_a_higher_strength_changes_a_picture_more(restorer: Restorer, reference_images: Tensor) -> None:
    crop, kv = reference_images[:1], restorer.encode_references(reference_images[1:])
    latent = restorer.encode(crop)

    def change(strength: float) -> float:
        settings = SamplingSettings(steps=4, strength=strength)
        return float((restorer.sample(latent, kv, [3], settings) - latent).square().mean())

    assert change(0.0) == 0.0 < change(0.004) < 0.1 * change(0.3) < change(1.0)
    assert torch.equal(restorer.restore(crop, kv, [3], SamplingSettings(strength=0.0)), crop)
    full_strength = restorer.sample(latent, kv, [3], SamplingSettings(steps=4, strength=1.0))
    assert torch.equal(full_strength, restorer.sample(latent, kv, [3], FOUR_STEPS))


def test_a_schedule_that_does_not_hide_the_picture_starts_from_it(
    restorer: Restorer, reference_images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise alone is no possible x_T of a model that always saw a part of the picture in it."""
    starts: list[Tensor] = []

    def stop_at_the_start(_predict_noise: object, x: Tensor, _table: object, **_options: object) -> Tensor:
        starts.append(x)
        return x

    monkeypatch.setattr(pipeline, "ddim", stop_at_the_start)
    latent, bright = restorer.encode(reference_images[:1]), NoiseSpec(linear_end=0.007)
    for noise_spec in (NoiseSpec(), bright):
        Restorer(restorer.unet, restorer.first_stage, replace(restorer.spec, noise=noise_spec)).sample(
            latent, None, [3], FOUR_STEPS
        )
    noise, _ = initial_noise([3], (latent.shape[1], latent.shape[2], latent.shape[3]))
    first_step = next(sampling_table(bright, 4, "trailing").steps())
    assert NoiseSpec().starts_from_noise and torch.equal(starts[0], noise)
    assert not bright.starts_from_noise and torch.equal(starts[1], noise_latents(latent, noise, first_step))


@pytest.mark.parametrize(("strength", "first_timestep"), [(1.0, 999), (0.5, 499), (0.2, 199), (0.001, 3)])
def test_strength_sets_the_first_timestep(strength: float, first_timestep: int) -> None:
    table = sampling_table(NoiseSpec(), 4, "trailing", strength)
    assert len(table) == 4 and next(table.steps()).timestep == first_timestep


@pytest.mark.parametrize("strength", [0.9, 0.35, 0.3, 0.15, 0.004])
def test_a_single_step_starts_at_the_noise_level_of_any_strength(strength: float) -> None:
    """Also where 1 / strength does not divide the noise levels."""
    assert sampling_table(NoiseSpec(), 1, "trailing", strength).timesteps.tolist() == [round(1000 * strength) - 1]


@pytest.mark.parametrize(("steps", "strength"), [(10, 0.5), (5, 0.25), (10, 0.2), (50, 0.1)])
def test_a_low_strength_takes_the_cleanest_steps_of_a_whole_schedule(steps: int, strength: float) -> None:
    all_timesteps = sampling_timesteps(NoiseSpec(), round(steps / strength), "trailing")
    assert sampling_table(NoiseSpec(), steps, "trailing", strength).timesteps.tolist() == all_timesteps[:steps].tolist()


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_more_steps_than_timesteps_are_refused_at_every_strength(strength: float) -> None:
    with pytest.raises(SettingsError, match="1001 sampling steps"):
        sampling_table(NoiseSpec(), 1001, "trailing", strength)
