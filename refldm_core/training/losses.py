"""The losses of the paper (section 3.3) and of the first stage, as pure functions of tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ranges import check_ranges, ranged_field

_LARGEST_WEIGHT, _LAST_STEP = 1e6, 10**12

IdentityScale = Literal["sqrt_alpha_bar", "none", "t<100", "t<500"]


@dataclass(frozen=True)
class IdentitySpec:
    """The identity term of the loss (paper eq. 7 and 8).

    Attributes:
        weight: weight of the term: 0.1 in the paper; 0 trains without it.
        scale: how the term fades with noise: "sqrt_alpha_bar" (the paper's), "none", or only below a timestep.
        recognizer: ONNX file of an ArcFace-style network (112 px, RGB in [-1, 1]), for instance insightface's.
        from_step: step from which the term counts. Before, the predicted x0 is too far from any face.
        share: share of each batch's pictures for which the term is computed.
    """

    weight: float = ranged_field(0.1, 0.0, _LARGEST_WEIGHT)
    scale: IdentityScale = "sqrt_alpha_bar"
    recognizer: str = ""
    from_step: int = ranged_field(0, 0, _LAST_STEP)
    share: float = ranged_field(1.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DiffusionLossSpec:
    """The loss of the diffusion model.

    Attributes:
        kind: distance between predicted and true noise: "l2" (published code) or "l1" (paper).
        weighting: "none" (published), or "inverse_sqrt_snr": each sample is weighted by sqrt(1 / SNR(t)), clamped to
            [0.3, 6]. Small models need this for the noisiest steps, which magnify an error in the noise most.
        face_weight: additional weight of the eyes and the mouth; see `face_weights`. The published training uses 0.
        mean_weight: weight of a term for the mean of the error over the latent, which is the tint of the picture. The
            published training uses 0. Small models need the term: at the noisiest steps an error of 0.01 in the mean of
            the noise becomes one of 0.4 in the mean of the latent. It is small among the errors of all pixels, and all
            further steps keep it.
        identity: see `IdentitySpec`.
    """

    kind: Literal["l2", "l1"] = "l2"
    weighting: Literal["none", "inverse_sqrt_snr"] = "none"
    face_weight: float = ranged_field(0.0, 0.0, _LARGEST_WEIGHT)
    mean_weight: float = ranged_field(0.0, 0.0, _LARGEST_WEIGHT)
    identity: IdentitySpec = field(default_factory=IdentitySpec)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class FirstStageLossSpec:
    """The loss of the first stage (VQGAN, arXiv 2012.09841).

    Attributes:
        perceptual: weight of the perceptual distance.
        network: network of the perceptual distance: "lpips" (downloads its weights) or the ONNX file of a recognizer.
        codebook: weight of the codebook term; the commitment term has a quarter of it.
        adversarial: weight of the discriminator's verdict, relative to the gradient of the other terms.
        discriminator_from: step from which the discriminator is trained and its verdict counts.
        discriminator_width: channels of the first level of the discriminator.
        quantize_from: step from which the codebook is used. Its entries are then set to latents of the corpus. With 0
            it is used from the beginning, with the published uniform initial values.
        face_weight: additional weight of the eyes and the mouth; see `face_weights`. The published training uses 0.
    """

    perceptual: float = ranged_field(1.0, 0.0, _LARGEST_WEIGHT)
    network: str = "lpips"
    codebook: float = ranged_field(1.0, 0.0, _LARGEST_WEIGHT)
    adversarial: float = ranged_field(0.75, 0.0, _LARGEST_WEIGHT)
    discriminator_from: int = ranged_field(50_000, 0, _LAST_STEP)
    discriminator_width: int = ranged_field(64, 1, 8192)
    quantize_from: int = ranged_field(0, 0, _LAST_STEP)
    face_weight: float = ranged_field(0.0, 0.0, _LARGEST_WEIGHT)

    def __post_init__(self) -> None:
        check_ranges(self)


class NoisyLatent(NamedTuple):
    """A noisy latent with its noise and its signal level."""

    x_t: Tensor
    noise: Tensor
    alpha_bar: Tensor
    """(batch,)"""


def add_noise(x_0: Tensor, noise: Tensor, alpha_bar: Tensor) -> NoisyLatent:
    """Return x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise, a sample of q(x_t | x_0); alpha_bar is (batch,)."""
    a = _per_sample(alpha_bar)
    return NoisyLatent(a.sqrt() * x_0 + (1.0 - a).sqrt() * noise, noise, alpha_bar)


def predicted_x0(x_t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return the clean latent that a predicted noise implies: (x_t - sqrt(1 - alpha_bar) eps) / sqrt(alpha_bar)."""
    # Reciprocals come first, as in the published tables: near alpha_bar 0, the order changes the last digits.
    a = _per_sample(alpha_bar)
    return (1.0 / a).sqrt() * x_t - (1.0 / a - 1.0).sqrt() * eps


def noise_loss(eps: Tensor, noise: Tensor, kind: Literal["l2", "l1"] = "l2", weight: Tensor | None = None) -> Tensor:
    """Return the distance between predicted and true noise for each sample: (batch,).

    Args:
        eps, noise: (batch, c, h, w) predicted and true noise.
        kind: "l2" for the mean square, "l1" for the mean absolute difference.
        weight: (h, w) weight of each pixel, with mean 1; None for equal weights.
    """
    difference = eps.float() - noise.float()
    distance = difference.square() if kind == "l2" else difference.abs()
    return (distance if weight is None else distance * weight).mean(dim=(1, 2, 3))


def mean_loss(eps: Tensor, noise: Tensor) -> Tensor:
    """Return the square of the error's mean over the latent, times the number of its pixels: (batch,).

    Where the errors of the pixels are independent, the expected value is their mean square. An error that all pixels
    share counts more.
    """
    difference = eps.float() - noise.float()
    return difference.mean(dim=(2, 3)).square().mean(dim=1) * difference[0, 0].numel()


def snr_weight(alpha_bar: Tensor) -> Tensor:
    """Return sqrt(1 / SNR) clamped to [0.3, 6]: (batch,)."""
    return ((1.0 - alpha_bar) / alpha_bar).sqrt().clamp(0.3, 6.0)


def identity_scale(alpha_bar: Tensor, t: Tensor, scale: IdentityScale) -> Tensor:
    """Return the scale of the identity term at each timestep: (batch,) (paper eq. 8; table 5 for the ablation)."""
    if scale == "sqrt_alpha_bar":
        return alpha_bar.sqrt()
    if scale == "none":
        return torch.ones_like(alpha_bar)
    return (t < int(scale.removeprefix("t<"))).to(alpha_bar)


def identity_distance(embedding: Tensor, target: Tensor) -> Tensor:
    """Return 1 - cosine similarity of each pair of embeddings: (batch,). Both are (batch, d), of any length."""
    return 1.0 - F.cosine_similarity(embedding.float(), target.float(), dim=1)


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the hinge loss of the discriminator from its verdicts on real and on reconstructed pictures."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())


def codebook_terms(z: Tensor, nearest: Tensor, commitment: float = 0.25) -> Tensor:
    """Return the sum of codebook and commitment term (VQ-VAE, arXiv 1711.00937, eq. 3).

    Args:
        z: latents.
        nearest: nearest codebook entries, in the shape of `z`.
        commitment: weight of the commitment term.
    """
    return F.mse_loss(nearest, z.detach()) + commitment * F.mse_loss(z, nearest.detach())


def face_weights(height: int, width: int, extra: float) -> Tensor:
    """Return pixel weights (height, width) of an aligned crop, with mean 1.

    The eyes and the mouth weigh about 1 + `extra` times as much as the rest.
    """
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
