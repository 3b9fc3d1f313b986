from __future__ import annotations

import pytest
import torch
from torch import Tensor

from refldm_core.errors import ReferencesError, SettingsError
from refldm_core.model.unet import UNet
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.progress import Step

from .parity import difference, tolerance

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


@pytest.mark.parametrize(("guidance", "references", "branches"), [(1.5, True, 2), (1.0, True, 1), (1.5, False, 1)])
def test_network_calls_for_each_step(
    restorer: Restorer, reference_images: Tensor, guidance: float, references: bool, branches: int
) -> None:
    kv = restorer.encode_references(reference_images) if references else None
    batches: list[int] = []
    hook = restorer.unet.register_forward_hook(lambda module, args, output: batches.append(len(output)))
    try:
        settings = SamplingSettings(steps=5, guidance=guidance)
        restorer.sample(restorer.encode(reference_images[:1]), kv, [0], settings)
    finally:
        hook.remove()
    assert batches == [branches] * 5


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
