"""The forward pass of a training step on a simulated GPU. Backward passes need a real GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.common.measuring import TINY
from benchmarks.common.simulated_gpu import GPU, CopyCounter, simulated_restorer
from refldm_core.training.losses import DiffusionLossSpec, IdentitySpec
from refldm_core.training.restoration_loss import RestorationLoss

BATCH, REFERENCES = 4, 3


class LinearRecognizer(nn.Module):
    """A recognizer with one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64, 3 * TINY.crop_size**2, device=GPU))

    def forward(self, crops: Tensor) -> Tensor:
        return crops.flatten(1) @ self.weight.T


def test_training_step_stays_on_the_gpu() -> None:
    restorer = simulated_restorer(TINY, torch.float32)
    unet = restorer.unet.train().requires_grad_(True)
    restorer.first_stage.requires_grad_(False)
    alphas = torch.zeros(TINY.noise.timesteps, device=GPU)
    spec = DiffusionLossSpec(identity=IdentitySpec(weight=0.1))
    loss = RestorationLoss(spec, alphas, restorer.first_stage, 1.0, LinearRecognizer())
    shape = (BATCH, TINY.unet.out_channels, TINY.latent_size, TINY.latent_size)
    x_0, lq, noise = (torch.zeros(shape, device=GPU) for _ in range(3))
    reference_latents = torch.zeros(BATCH * REFERENCES, *shape[1:], device=GPU)
    t = torch.zeros(BATCH, device=GPU, dtype=torch.int64)
    target = torch.zeros(BATCH, 3, TINY.crop_size, TINY.crop_size, device=GPU)

    with CopyCounter() as counter:
        batch_references = unet.encode_references(reference_latents)
        reference_sets = [batch_references.select(*range(i * REFERENCES, (i + 1) * REFERENCES)) for i in range(BATCH)]
        x_t = loss.noised(x_0, noise, t)
        eps = unet(torch.cat([x_t, lq], dim=1), t, reference_sets)
        terms = loss(eps, x_t, noise, t, target)

    assert terms.identity is not None
    assert {terms.noise.device.type, terms.identity.device.type} == {"cuda"}
    assert terms.noise.shape == terms.identity.shape == (BATCH,)
    assert terms.noise.requires_grad and terms.identity.requires_grad
    assert counter.copies == []
