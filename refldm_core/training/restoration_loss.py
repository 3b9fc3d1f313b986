"""The loss of ReF-LDM for given noise, timesteps and conditions (paper eq. 6 to 8)."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..model.vqgan import FirstStage
from .latents import decode
from .losses import (
    DiffusionLossSpec,
    add_noise,
    face_weights,
    identity_distance,
    identity_scale,
    mean_loss,
    noise_loss,
    predicted_x0,
    snr_weight,
)


class LossTerms(NamedTuple):
    """The terms of the loss for each sample.

    Attributes:
        noise: (batch,) weighted distance between predicted and true noise.
        identity: (n,) scaled identity distance of the first n samples; None where it is not computed.
    """

    noise: Tensor
    identity: Tensor | None


class RestorationLoss(nn.Module):
    """The loss of ReF-LDM (paper eq. 6 to 8).

    Args:
        spec: kind and weights of the terms.
        alphas_cumprod: (timesteps,) alpha_bar of each timestep.
        first_stage: decodes predicted latents for the identity term. Its weights are not trained.
        scale_factor: factor that the latents are multiplied by.
        identity: network that embeds pictures for the identity term; None without that term.
    """

    def __init__(
        self,
        spec: DiffusionLossSpec,
        alphas_cumprod: Tensor,
        first_stage: FirstStage,
        scale_factor: float,
        identity: nn.Module | None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.first_stage = first_stage
        self.identity = identity
        self.scale_factor = scale_factor
        self.alphas_cumprod: Tensor
        self.register_buffer("alphas_cumprod", alphas_cumprod.float(), persistent=False)

    def noised(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return x_t, the noisy latents that the U-Net gets."""
        return add_noise(x_0, noise, self.alphas_cumprod[t]).x_t

    def forward(self, eps: Tensor, x_t: Tensor, noise: Tensor, t: Tensor, target: Tensor | None = None) -> LossTerms:
        """Return the terms of each sample.

        Args:
            eps: (batch, c, h, w) predicted noise.
            x_t, noise: noisy latents and true noise, of the same shape.
            t: (batch,) int64 timesteps.
            target: (n, 3, height, width) in [-1, 1], n <= batch: pictures whose identity the first n samples must have;
                None without the identity term. The published target is the first stage's reconstruction of the truth.

        Returns:
            The terms. The loss is the mean of `noise` plus `identity.weight` times the mean of `identity`.
        """
        alpha_bar = self.alphas_cumprod[t]
        weight = None
        if self.spec.face_weight:
            weight = face_weights(eps.shape[-2], eps.shape[-1], self.spec.face_weight).to(eps)
        noise_term = noise_loss(eps, noise, self.spec.kind, weight)
        if self.spec.mean_weight:
            noise_term = noise_term + self.spec.mean_weight * mean_loss(eps, noise)
        if self.spec.weighting == "inverse_sqrt_snr":
            noise_term = noise_term * snr_weight(alpha_bar)
        if target is None or self.identity is None or not len(target):
            return LossTerms(noise_term, None)
        n = len(target)
        x_0 = predicted_x0(x_t[:n].float(), eps[:n].float(), alpha_bar[:n])
        picture = decode(self.first_stage, x_0 / self.scale_factor)
        with torch.no_grad():
            target_embedding = self.identity(target)
        distance = identity_distance(self.identity(picture), target_embedding)
        return LossTerms(noise_term, distance * identity_scale(alpha_bar[:n], t[:n], self.spec.identity.scale))
