"""The training loss against the published code's (tests/golden/loss.safetensors), and its parts by themselves."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from refldm_core.face.identity import published_crop
from refldm_core.pipeline import Restorer
from refldm_core.training.losses import (
    DiffusionLossSpec,
    IdentitySpec,
    face_weights,
    identity_scale,
    mean_loss,
    noise_loss,
    predicted_x0,
    snr_weight,
)
from refldm_core.training.restoration_loss import RestorationLoss

from ..conftest import load_restorer
from ..parity import assert_close
from ..weights import GOLDEN, TinyFiles

WEIGHT = 0.1


@pytest.fixture(scope="module")
def loss_golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "loss.safetensors")


@pytest.fixture(scope="module")
def raw(tiny: TinyFiles) -> Restorer:
    """The published training uses the raw weights."""
    return load_restorer(tiny.ckpt, tiny.config, weights="raw")


class StandIn(nn.Module):
    """The linear map that the golden losses have for a recognizer: of the 28 px crop."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, crops: Tensor) -> Tensor:
        return published_crop(crops, 28).flatten(1) @ self.weight.T


def whole_loss(raw: Restorer, golden: dict[str, Tensor]) -> tuple[RestorationLoss, Tensor, Tensor, Tensor]:
    """The loss module, the predicted noise, and the two terms of each sample, from the golden's own inputs."""
    spec = DiffusionLossSpec(identity=IdentitySpec(weight=WEIGHT))
    alphas = torch.from_numpy(raw.spec.noise.alphas_cumprod)
    loss = RestorationLoss(spec, alphas, raw.first_stage, 1.0, StandIn(golden["loss.proj_weight"]))
    t, noise = golden["loss.t"], golden["loss.noise"]
    x_t = loss.noised(golden["loss.x_start"], noise, t)
    assert_close(x_t, golden["loss.x_noisy"], "loss.x_noisy")
    references = golden["loss.cond_ref_wide"].chunk(2, dim=-1)
    kvs = [raw.unet.encode_references(torch.stack([wide[i] for wide in references])) for i in range(2)]
    eps = raw.unet(torch.cat([x_t, golden["loss.cond_lq"]], dim=1), t, kvs)
    terms = loss(eps, x_t, noise, t, golden["loss.img"])
    assert terms.identity is not None
    return loss, eps, terms.noise, terms.identity


def test_golden_values(raw: Restorer, loss_golden: dict[str, Tensor]) -> None:
    golden = loss_golden
    loss, eps, simple, identity = whole_loss(raw, golden)
    assert_close(eps, golden["loss.eps"], "loss.eps")
    assert_close(simple, golden["loss.loss_simple_per_sample"], "loss.loss_simple_per_sample")
    assert_close(identity, golden["loss.perceptual_per_sample_scaled"], "loss.perceptual_per_sample_scaled")
    assert_close(simple.mean() + WEIGHT * identity.mean(), golden["loss.total"], "loss.total")
    alpha_bar = loss.alphas_cumprod[golden["loss.t"]]
    assert_close(alpha_bar.sqrt(), golden["loss.sqrt_alphas_cumprod_t"], "loss.feat_pred")
    x_0 = predicted_x0(golden["loss.x_noisy"], golden["loss.eps"], alpha_bar)
    assert_close(x_0, golden["loss.pred_x_start"], "loss.pred_x_start")
    picture = raw.first_stage.decode(x_0)
    assert_close(picture, golden["loss.pred_img"], "loss.pred_img")
    assert_close(published_crop(picture, 28), golden["loss.preprocessed_pred"], "loss.preprocessed_pred")


def test_golden_target_is_the_reconstruction(raw: Restorer, loss_golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        latent = raw.first_stage.encode(loss_golden["loss.gt"])
        assert_close(latent, loss_golden["loss.x_start"], "loss.x_start")
        assert_close(raw.first_stage.decode(latent), loss_golden["loss.img"], "loss.img")


def test_golden_gradients(tiny: TinyFiles, loss_golden: dict[str, Tensor]) -> None:
    """Also through the references' keys and values, and straight through the quantizer."""
    raw = load_restorer(tiny.ckpt, tiny.config, weights="raw")
    _, _, simple, identity = whole_loss(raw, loss_golden)
    (simple.mean() + WEIGHT * identity.mean()).backward()
    parameters = dict(raw.unet.named_parameters())
    names = [name.removeprefix("loss.grad.") for name in loss_golden if name.startswith("loss.grad.")]
    assert len(names) == 5
    for name in names:
        gradient = parameters[name].grad
        assert gradient is not None
        assert_close(gradient, loss_golden[f"loss.grad.{name}"], "loss.grad", name)


def test_gradients_reach_the_references_pass(tiny: TinyFiles, loss_golden: dict[str, Tensor]) -> None:
    """Detached keys and values would give other gradients: the golden ones tell the two apart."""
    raw = load_restorer(tiny.ckpt, tiny.config, weights="raw")
    _, _, simple, identity = whole_loss(raw, loss_golden)
    full = torch.autograd.grad(simple.mean() + WEIGHT * identity.mean(), raw.unet.time_embed[0].bias)[0]
    with torch.no_grad():
        kvs = [
            raw.unet.encode_references(torch.stack([w[i] for w in loss_golden["loss.cond_ref_wide"].chunk(2, dim=-1)]))
            for i in range(2)
        ]
    x = torch.cat([loss_golden["loss.x_noisy"], loss_golden["loss.cond_lq"]], dim=1)
    cut = noise_loss(raw.unet(x, loss_golden["loss.t"], kvs), loss_golden["loss.noise"]).mean()
    partial = torch.autograd.grad(cut, raw.unet.time_embed[0].bias)[0]
    assert (full - partial).abs().max() > 1e-3 * full.abs().max()


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("sqrt_alpha_bar", [0.9, 0.5, 0.1]),
        ("none", [1.0, 1.0, 1.0]),
        ("t<100", [1.0, 0.0, 0.0]),
        ("t<500", [1.0, 1.0, 0.0]),
    ],
)
def test_identity_scale_follows_its_definition(scale: str, expected: list[float]) -> None:
    alpha_bar = torch.tensor([0.81, 0.25, 0.01])
    actual = identity_scale(alpha_bar, torch.tensor([99, 499, 500]), scale)  # type: ignore[arg-type]
    assert torch.allclose(actual, torch.tensor(expected))


def test_noise_loss_is_the_mean_square_or_absolute_difference() -> None:
    eps, noise = torch.zeros(2, 1, 2, 2), torch.stack([torch.full((1, 2, 2), 2.0), torch.full((1, 2, 2), -3.0)])
    assert noise_loss(eps, noise, "l2").tolist() == [4.0, 9.0]
    assert noise_loss(eps, noise, "l1").tolist() == [2.0, 3.0]


def test_an_error_of_all_pixels_counts_once_for_each_pixel() -> None:
    noise = torch.zeros(2, 3, 4, 5)
    eps = torch.stack([torch.full((3, 4, 5), 0.5), torch.zeros(3, 4, 5)])
    eps[1, :, 0, 0], eps[1, :, 0, 1] = 1.0, -1.0
    assert mean_loss(eps, noise).tolist() == pytest.approx([0.25 * 20, 0.0])


def test_face_weights_have_mean_one_and_favor_the_eyes() -> None:
    weights = face_weights(24, 24, 3.0)
    assert weights.mean().item() == pytest.approx(1.0)
    eye, corner = weights[11, 9], weights[0, 0]
    assert eye / corner > 3.0
    assert torch.equal(face_weights(8, 8, 0.0), torch.ones(8, 8))


def test_snr_weight_is_clamped() -> None:
    weights = snr_weight(torch.tensor([0.999, 0.5, 0.0007]))
    assert weights.tolist() == pytest.approx([0.3, 1.0, 6.0])
