"""The loss of ReF-LDM for given noise, timesteps and conditions (paper eq. 6 to 8)."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..model.vqgan import FirstStage
from .latents import decoded
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


class Terms(NamedTuple):
    """Each (batch,): the noise's distance, and the identity's with its scale (None where it is not computed)."""

    noise: Tensor
    identity: Tensor | None


class RestorationLoss(nn.Module):
    """The loss of ReF-LDM for latents whose noise, timesteps and conditions are given (paper eq. 6 to 8).

    Args:
        spec: of the loss.
        alphas_cumprod: (timesteps,).
        first_stage: decodes predicted latents for the identity term; its weights are not trained.
        scale_factor: of the latents.
        identity: the recognizer; None without an identity term.
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
        """x_t: the input of the U-Net."""
        return add_noise(x_0, noise, self.alphas_cumprod[t]).x_t

    def forward(self, eps: Tensor, x_t: Tensor, noise: Tensor, t: Tensor, target: Tensor | None = None) -> Terms:
        """The terms of each sample, weighted as they add up.

        Args:
            eps: (batch, c, h, w), predicted.
            x_t, noise: the same shape.
            t: (batch,) int64.
            target: (n, 3, height, width) in [-1, 1], n <= batch: pictures that the first n are to be like; None
                without the identity term. The published target is the first stage's reconstruction of the truth.

        Returns:
            `Terms`; the loss is the mean of noise plus `identity.weight` times the mean of identity.
        """
        alpha_bar = self.alphas_cumprod[t]
        weight = None
        if self.spec.face_weight:
            weight = face_weights(eps.shape[-2], eps.shape[-1], self.spec.face_weight).to(eps)
        each = noise_loss(eps, noise, self.spec.kind, weight)
        if self.spec.mean_weight:
            each = each + self.spec.mean_weight * mean_loss(eps, noise)
        if self.spec.weighting == "inverse_sqrt_snr":
            each = each * snr_weight(alpha_bar)
        if target is None or self.identity is None or not len(target):
            return Terms(each, None)
        n = len(target)
        x_0 = predicted_x0(x_t[:n].float(), eps[:n].float(), alpha_bar[:n])
        picture = decoded(self.first_stage, x_0 / self.scale_factor)
        with torch.no_grad():
            wanted = self.identity(target)
        distance = identity_distance(self.identity(picture), wanted)
        return Terms(each, distance * identity_scale(alpha_bar[:n], t[:n], self.spec.identity.scale))
