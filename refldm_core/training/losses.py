"""The losses of the paper (section 3.3) and of the first stage; pure functions of tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

IdentityScale = Literal["sqrt_alpha_bar", "none", "t<100", "t<500"]


@dataclass(frozen=True)
class IdentitySpec:
    """The identity term of the loss (paper eq. 7 and 8).

    Attributes:
        weight: 0.1 in the paper; 0 is without.
        scale: how the term fades with noise: "sqrt_alpha_bar" (the paper's), "none", or only below a timestep.
        recognizer: ONNX file of an ArcFace-style network (112 px, RGB in [-1, 1]), for instance insightface's.
        from_step: the term counts from this step on: early on, x0 is too far from any face.
        share: of each batch's pictures that the term is computed for.
    """

    weight: float = 0.1
    scale: IdentityScale = "sqrt_alpha_bar"
    recognizer: str = ""
    from_step: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class DiffusionLossSpec:
    """The loss of the diffusion model.

    Attributes:
        kind: of the distance between noises: "l2" (published code) or "l1" (paper).
        weighting: "none" (published), or "inverse_sqrt_snr": each sample counts sqrt(1 / SNR(t)), clamped to [0.3, 6],
            which small models need to get the noisiest steps right, where an error in the noise is magnified most.
        face_weight: how much more the eyes and the mouth count than the rest; 0 is published.
        mean_weight: of a term for the error's mean over the latent, which is the picture's tint; 0 is published. Small
            models need it: at the noisiest steps an error of 0.01 in the mean of the noise is one of 0.4 in the mean
            of the latent, is hardly seen among the errors of all pixels, and stays through all further steps.
        identity: see `IdentitySpec`.
    """

    kind: Literal["l2", "l1"] = "l2"
    weighting: Literal["none", "inverse_sqrt_snr"] = "none"
    face_weight: float = 0.0
    mean_weight: float = 0.0
    identity: IdentitySpec = field(default_factory=IdentitySpec)


@dataclass(frozen=True)
class FirstStageLossSpec:
    """The loss of the first stage (VQGAN, arXiv 2012.09841).

    Attributes:
        perceptual: weight of the perceptual distance.
        network: that it is measured in: "lpips" (downloads its weights) or the ONNX file of a recognizer.
        codebook: weight of the codebook term; the commitment counts a quarter of it.
        adversarial: weight of the discriminator's verdict, relative to the gradient of the rest.
        discriminator_from: step from which the discriminator counts.
        discriminator_width: its first level's channels.
        quantize_from: step from which the codebook is used. It then starts from latents of the corpus; 0 starts
            from the published uniform values.
        face_weight: how much more the eyes and the mouth count than the rest; 0 is published.
    """

    perceptual: float = 1.0
    network: str = "lpips"
    codebook: float = 1.0
    adversarial: float = 0.75
    discriminator_from: int = 50_000
    discriminator_width: int = 64
    quantize_from: int = 0
    face_weight: float = 0.0


class Noised(NamedTuple):
    """A noisy latent with what made it."""

    x_t: Tensor
    noise: Tensor
    alpha_bar: Tensor
    """(batch,)"""


def add_noise(x_0: Tensor, noise: Tensor, alpha_bar: Tensor) -> Noised:
    """q(x_t | x_0): sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise; alpha_bar is (batch,)."""
    a = _per_sample(alpha_bar)
    return Noised(a.sqrt() * x_0 + (1.0 - a).sqrt() * noise, noise, alpha_bar)


def predicted_x0(x_t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """The clean latent that a predicted noise implies: (x_t - sqrt(1 - alpha_bar) eps) / sqrt(alpha_bar)."""
    # Reciprocals first, as the published tables are: the order shows in the last digits at alpha_bar near 0.
    a = _per_sample(alpha_bar)
    return (1.0 / a).sqrt() * x_t - (1.0 / a - 1.0).sqrt() * eps


def noise_loss(eps: Tensor, noise: Tensor, kind: Literal["l2", "l1"] = "l2", weight: Tensor | None = None) -> Tensor:
    """Distance between predicted and true noise for each sample: (batch,).

    Args:
        eps, noise: (batch, c, h, w).
        kind: mean square or mean absolute difference.
        weight: (h, w) with mean 1, or None.
    """
    difference = eps.float() - noise.float()
    each = difference.square() if kind == "l2" else difference.abs()
    return (each if weight is None else each * weight).mean(dim=(1, 2, 3))


def mean_loss(eps: Tensor, noise: Tensor) -> Tensor:
    """Square of the error's mean over the latent, times the latent's pixels: (batch,).

    For errors that are independent from pixel to pixel it is as large as their mean square; a common one counts more.
    """
    difference = eps.float() - noise.float()
    return difference.mean(dim=(2, 3)).square().mean(dim=1) * difference[0, 0].numel()


def snr_weight(alpha_bar: Tensor) -> Tensor:
    """sqrt(1 / SNR) clamped to [0.3, 6]: (batch,)."""
    return ((1.0 - alpha_bar) / alpha_bar).sqrt().clamp(0.3, 6.0)


def identity_scale(alpha_bar: Tensor, t: Tensor, scale: IdentityScale) -> Tensor:
    """How much the identity term counts at each timestep: (batch,) (paper eq. 8 and its ablation, table 5)."""
    if scale == "sqrt_alpha_bar":
        return alpha_bar.sqrt()
    if scale == "none":
        return torch.ones_like(alpha_bar)
    return (t < int(scale.removeprefix("t<"))).to(alpha_bar)


def identity_distance(embedding: Tensor, target: Tensor) -> Tensor:
    """1 - cosine similarity for each pair: two (batch, d) of any length -> (batch,)."""
    return 1.0 - F.cosine_similarity(embedding.float(), target.float(), dim=1)


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the discriminator from its verdicts on real and reconstructed pictures."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())


def codebook_terms(z: Tensor, nearest: Tensor, commitment: float = 0.25) -> Tensor:
    """Codebook and commitment terms (VQ-VAE, arXiv 1711.00937, eq. 3); z and nearest have the same shape."""
    return F.mse_loss(nearest, z.detach()) + commitment * F.mse_loss(z, nearest.detach())


def face_weights(height: int, width: int, extra: float) -> Tensor:
    """(height, width) with mean 1: aligned crops' eyes and mouth count about 1 + extra times as much as the rest."""
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    weights = torch.ones(height, width)
    # Eyes and mouth of the FFHQ template, as fractions of the crop: (x, y, standard deviations).
    for cx, cy, sx, sy in ((0.377, 0.469, 0.08, 0.06), (0.623, 0.469, 0.08, 0.06), (0.502, 0.725, 0.11, 0.06)):
        bump = torch.exp(-0.5 * (((x - cx) / sx) ** 2)[None, :] - 0.5 * (((y - cy) / sy) ** 2)[:, None])
        weights = weights + extra * bump
    return weights / weights.mean()


def _per_sample(values: Tensor) -> Tensor:
    return values[:, None, None, None]
