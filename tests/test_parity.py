"""Every intermediate result equals that of the published code (tests/golden), within the tolerances of parity.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from refldm_core.diffusion.sampling import initial_noise
from refldm_core.diffusion.schedule import NoiseSpec, sampling_table
from refldm_core.images import to_tensor, u8_to_tensor
from refldm_core.model.attention import plain_attention
from refldm_core.model.unet import timestep_embedding
from refldm_core.pipeline import Restorer, SamplingSettings

from .conftest import load_restorer
from .parity import CHANNELS_LAST_CODES, CHANNELS_LAST_LATENT, CHECKS, SEED, assert_close, difference, wide_to_images
from .weights import TinyFiles


@pytest.fixture(scope="module", params=["fused attention", "plain attention"])
def restorer_of_each_attention(request: pytest.FixtureRequest, tiny: TinyFiles) -> Restorer:
    restorer = load_restorer(tiny.ckpt, tiny.config)
    if request.param == "plain attention":
        restorer.unet.attention = plain_attention
        restorer.first_stage.encoder.mid.attn_1.attention = plain_attention
        restorer.first_stage.decoder.mid.attn_1.attention = plain_attention
    return restorer


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_passes_with_each_attention(
    restorer_of_each_attention: Restorer, golden: dict[str, Tensor], name: str
) -> None:
    CHECKS[name](restorer_of_each_attention, golden)


def test_raw_weights_give_the_published_noise_prediction(tiny: TinyFiles, golden: dict[str, Tensor]) -> None:
    restorer = load_restorer(tiny.ckpt, tiny.config, weights="raw")
    kv = restorer.encode_references(wide_to_images(golden))
    x = torch.cat([golden["unet.x"], restorer.encode(golden["in.lq"])], dim=1)
    with torch.no_grad():
        noise_prediction = restorer.unet(x, torch.tensor([999]), kv)
    assert_close(noise_prediction, golden["unet.t999.refs_raw_weights"], "unet.t999")


def test_the_timestep_embedding_is_the_published_one(restorer: Restorer, golden: dict[str, Tensor]) -> None:
    sinusoid = timestep_embedding(golden["temb.t"], 32)
    # Builds of the published code agree exactly here, so that there is no noise floor to take the tolerance from.
    torch.testing.assert_close(sinusoid, golden["temb.sinusoid"], rtol=0, atol=1e-7)
    with torch.no_grad():
        torch.testing.assert_close(restorer.unet.time_embed(sinusoid), golden["temb.mlp"], rtol=0, atol=1e-6)


def test_the_initial_noise_is_the_published_one(golden: dict[str, Tensor]) -> None:
    noise, _ = initial_noise([SEED], (8, 16, 16))
    assert torch.equal(noise, golden["ddim.x_T"])


def _tables(golden: dict[str, Tensor]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the name of each golden table, the table of this package and the golden one."""
    for name in (n for n in golden if n.startswith("sched.")):
        _, spacing, steps, field = name.split(".")
        table = sampling_table(NoiseSpec(), int(steps[1:]), "trailing" if "trailing" in spacing else "uniform")
        values = table.sigmas(1.0) if field == "sigmas_eta1" else getattr(table, field)
        yield name, np.asarray(values), golden[name].numpy()


def test_timestep_tables_are_exact(golden: dict[str, Tensor]) -> None:
    tables = list(_tables(golden))
    assert len(tables) == 43
    for name, values, published in tables:
        assert values.dtype == published.dtype and np.array_equal(values, published), name


def test_noise_tables_are_exact() -> None:
    from safetensors.numpy import load_file

    from .weights import GOLDEN

    buffers = load_file(GOLDEN / "buffers.safetensors")
    assert np.array_equal(NoiseSpec().alphas_cumprod, buffers["alphas_cumprod"])
    assert np.array_equal(NoiseSpec().betas.astype(np.float32), buffers["betas"])


def test_pictures_become_the_published_tensors(golden: dict[str, Tensor]) -> None:
    from PIL import Image

    image = Image.fromarray(golden["pil.in_u8"].movedim(0, -1).numpy())
    assert torch.equal(to_tensor(image, 128), golden["pil.normalised"])
    assert torch.equal(u8_to_tensor(golden["in.lq_u8"]), golden["in.lq"])


def test_channels_last_stays_within_its_own_limits(tiny: TinyFiles, golden: dict[str, Tensor]) -> None:
    restorer = load_restorer(tiny.ckpt, tiny.config)
    restorer.unet.to(memory_format=torch.channels_last)
    kv = restorer.encode_references(wide_to_images(golden))
    z = restorer.sample(restorer.encode(golden["in.lq"]), kv, [SEED], SamplingSettings(steps=10))
    assert difference(z, golden["ddim.final.z"]) <= CHANNELS_LAST_LATENT
    with torch.no_grad():
        agree = restorer.first_stage.quantize(z).indices == golden["ddim.final.indices"]
    assert agree.float().mean() >= CHANNELS_LAST_CODES
