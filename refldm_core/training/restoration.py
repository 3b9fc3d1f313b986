"""Training the diffusion model, without references (ldm) and with them (refldm): paper sections 3.2 and 3.3."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..checkpoints.building import load_first_stage, load_model
from ..checkpoints.published import save_refldm
from ..data.corpus import Corpus, open_corpus
from ..data.groups import Group, Groups, stack
from ..diffusion.schedule import NoiseSpec
from ..images import round_to_u8, u8_to_tensor
from ..model.attention import Attention, AttentionBlock, fused_attention, plain_attention
from ..model.reference import ReferenceKV
from ..model.unet import UNet
from ..model.unet_blocks import ResBlock
from ..model.variants import ModelSpec
from ..model.vqgan import FirstStage
from ..pipeline import Restorer, SamplingSettings
from .ema import swapped
from .examples import GroupExamples
from .latents import LatentCache, Latents, cache_key, decoded, encoded
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
from .recognition import IdentityNetwork, differentiable_recognizer
from .spec import TrainSpec
from .task import Batch, Logs, Part, TrainingError, derive, generator


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


@dataclass(frozen=True)
class Drawn:
    """What chance decides for the targets of a group, a function of the item's seed.

    Attributes:
        noise: (targets, c, h, w).
        t: (targets,) int64.
        keep_lq: (targets,) bool: False hides the LQ picture (a zero latent).
        references: "shown", "null" (zero latents, as guidance's null) or "none" (an empty cache).
    """

    noise: Tensor
    t: Tensor
    keep_lq: Tensor
    references: str


class RestorationPart(Part):
    """The U-Net with its loss.

    Args:
        unet: to train.
        loss: see `RestorationLoss`.
        latents: encodes the batch's pictures.
        spec: of the run.
    """

    name = "unet"

    loss: RestorationLoss

    def __init__(self, unet: UNet, loss: RestorationLoss, latents: Latents, spec: TrainSpec) -> None:
        super().__init__()
        self.unet = unet
        self.latents = latents
        self.spec = spec
        self.keep(loss=loss)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        groups: list[Group] = batch["groups"]
        targets, lq, references = self.latents.of(groups)
        drawn = [self._draw(seed, one) for seed, one in zip(batch["seeds"], targets, strict=True)]
        x_0 = torch.cat(targets)
        t = torch.cat([each.t for each in drawn]).to(x_0.device)
        noise = torch.cat([each.noise for each in drawn]).to(x_0)
        keep = torch.cat([each.keep_lq for each in drawn]).to(x_0)
        x_t = self.loss.noised(x_0, noise, t)
        x = torch.cat([x_t, torch.cat(lq) * keep[:, None, None, None]], dim=1)
        caches = self._caches(references, drawn)
        given = [cache for cache, latents in zip(caches, targets, strict=True) for _ in range(len(latents))]
        eps = self.unet(x, t, given)
        terms = self.loss(eps, x_t, noise, t, self._identity_target(groups, step))
        loss = terms.noise.mean()
        logs = {"noise": loss}
        if terms.identity is not None:
            logs["identity"] = terms.identity.mean()
            loss = loss + self.spec.diffusion.loss.identity.weight * logs["identity"]
        return loss, logs

    def _draw(self, seed: int, targets: Tensor) -> Drawn:
        chance = generator(derive(seed, 2))
        drop = self.spec.diffusion.drop
        count = len(targets)
        noise = torch.randn(targets.shape, generator=chance)
        t = torch.randint(len(self.loss.alphas_cumprod), (count,), generator=chance)
        keep_lq = torch.rand(count, generator=chance) >= drop.lq
        hidden = torch.rand((), generator=chance).item()
        references = "null" if hidden < drop.references else "none" if hidden < drop.references + drop.none else "shown"
        return Drawn(noise, t, keep_lq, references)

    def _caches(self, references: Sequence[Tensor], drawn: Sequence[Drawn]) -> list[ReferenceKV | None]:
        """The CacheKV of each group, all computed in one pass; gradients flow through it."""
        shown = [
            latents if each.references == "shown" else torch.zeros_like(latents)
            for latents, each in zip(references, drawn, strict=True)
        ]
        counts = [0 if each.references == "none" else len(latents) for latents, each in zip(shown, drawn, strict=True)]
        if not sum(counts):
            return [None] * len(counts)
        together = self.unet.encode_references(
            torch.cat([latents[:count] for latents, count in zip(shown, counts, strict=True)])
        )
        caches: list[ReferenceKV | None] = []
        first = 0
        for count in counts:
            caches.append(together.select(*range(first, first + count)) if count else None)
            first += count
        return caches

    @torch.no_grad()
    def _identity_target(self, groups: Sequence[Group], step: int) -> Tensor | None:
        """What the first pictures of the batch must be like: the first stage's reconstruction of them."""
        spec = self.spec.diffusion.loss.identity
        if self.loss.identity is None or step < spec.from_step:
            return None
        pictures = stack([group.targets for group in groups])
        share = pictures[: max(1, round(spec.share * len(pictures)))]
        truth = u8_to_tensor(share).to(self.loss.alphas_cumprod.device)
        with torch.autocast(truth.device.type, enabled=False):
            return decoded(self.loss.first_stage, encoded(self.loss.first_stage, truth))


class RestorationTask:
    """Trains the U-Net of a ReF-LDM; see `Task`.

    Args:
        spec: of the run.

    Raises:
        TrainingError: no first stage, or settings that contradict each other.
    """

    def __init__(self, spec: TrainSpec) -> None:
        self.spec = spec
        groups = spec.groups if spec.task == "refldm" else replace(spec.groups, references=0)
        corpus = open_corpus(spec.corpus)
        self.groups = Groups(corpus, groups)
        # The backward pass of torch's fused attention is slower on the CPU than plain matrices.
        unet, first_stage, self.model = _networks(spec, corpus, fused_attention if _on_gpu(spec) else plain_attention)
        identity = spec.diffusion.loss.identity
        recognizer = IdentityNetwork(differentiable_recognizer(Path(identity.recognizer))) if identity.weight else None
        alphas = torch.from_numpy(self.model.noise.alphas_cumprod)
        self.loss = RestorationLoss(spec.diffusion.loss, alphas, first_stage, self.model.scale_factor, recognizer)
        self.frozen: nn.Module = self.loss
        cache = _cache(spec, self.groups, first_stage)
        self.examples = GroupExamples(self.groups, cache, pictures_needed=identity.weight > 0)
        latents = Latents(first_stage, self.model.scale_factor, cache)
        self.part = RestorationPart(unet, self.loss, latents, spec)
        self.parts: Sequence[Part] = (self.part,)
        if spec.run.checkpoint_activations:
            _checkpoint_blocks(unet)
        if spec.run.compile:
            unet.compile()

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        pass

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        prefix = "unet."
        raw = self.part.unet.state_dict()
        mean = {name.removeprefix(prefix): tensor for name, tensor in ema[self.part.name].items()}
        return save_refldm(folder, self.model, raw, mean, self.loss.first_stage.state_dict(), updates=step)

    @torch.no_grad()
    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image | None:
        """Rows of LQ, restored without references, with them, and the truth; the first example's references after."""
        groups = [self.groups.draw(self.groups.recipe(derive(self.spec.seed, 3, i))) for i in range(4)]
        device = self.loss.alphas_cumprod.device
        settings = SamplingSettings(steps=20, guidance=1.0)
        with swapped(self.part, ema[self.part.name]):
            restorer = Restorer(self.part.unet, self.loss.first_stage, self.model)
            rows: list[Tensor] = []
            for group in groups:
                lq = u8_to_tensor(stack([group.lq[:1]])).to(device)
                row = [lq, restorer.restore(lq, None, [0], settings)]
                references = u8_to_tensor(stack([group.references])).to(device)
                if len(references):
                    row.append(restorer.restore(lq, restorer.encode_references(references), [0], settings))
                row += [u8_to_tensor(stack([group.targets[:1]])).to(device), *references[:2].unsqueeze(1)]
                rows.append(torch.cat([round_to_u8(picture.cpu()) for picture in row], dim=-1))
        width = max(row.shape[-1] for row in rows)
        padded = [torch.nn.functional.pad(row, (0, width - row.shape[-1])) for row in rows]
        return Image.fromarray(torch.cat(padded, dim=-2)[0].movedim(0, -1).contiguous().numpy())


def _networks(spec: TrainSpec, corpus: Corpus, attention: Attention) -> tuple[UNet, FirstStage, ModelSpec]:
    """The U-Net to train, its first stage, and the spec of both."""
    diffusion = spec.diffusion
    path = Path(diffusion.first_stage) if diffusion.first_stage else None
    if diffusion.init:
        config = Path(diffusion.init_config) if diffusion.init_config else None
        loaded = load_model(Path(diffusion.init), path, config, weights=diffusion.init_weights)
        loaded.unet.attention = attention
        loaded.first_stage.requires_grad_(False)
        _require_size(spec, loaded.spec)
        model = replace(loaded.spec, noise=diffusion.noise) if diffusion.noise else loaded.spec
        return loaded.unet.train(), loaded.first_stage, model
    if path is None:
        raise TrainingError(
            "The config names no first stage.",
            expected="diffusion.first_stage: a trained VQGAN, or diffusion.init: a whole model",
            remedy="train one first (task: first_stage), or use the official vqgan.ckpt",
        )
    first_stage = load_first_stage(path).requires_grad_(False)
    scale = _scale(corpus, first_stage) if diffusion.scale_factor == "auto" else diffusion.scale_factor
    channels = first_stage.spec.embed_dim
    shape = replace(diffusion.unet, in_channels=2 * channels, out_channels=channels)
    latent_size = spec.corpus.size // first_stage.spec.downsampling
    model = ModelSpec(shape, first_stage.spec, diffusion.noise or NoiseSpec(), latent_size, scale)
    _require_size(spec, model)
    unet = UNet(model.unet, attention=attention)
    _zero_last_layers(unet)
    return unet, first_stage, model


def _require_size(spec: TrainSpec, model: ModelSpec) -> None:
    if spec.corpus.size != model.crop_size:
        raise TrainingError(
            f"corpus.size is {spec.corpus.size}.",
            expected=f"{model.crop_size}, the size of the model's crops",
            remedy="change corpus.size",
        )


def _zero_last_layers(unet: UNet) -> None:
    """Start each residual branch and the output from zero, as published (arXiv 2105.05233): the start is smooth."""
    for module in unet.modules():
        if isinstance(module, ResBlock):
            nn.init.zeros_(module.out_layers[-1].weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(module.out_layers[-1].bias)  # pyright: ignore[reportArgumentType]
        elif isinstance(module, AttentionBlock):
            nn.init.zeros_(module.proj_out.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(module.proj_out.bias)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(unet.out[-1].weight)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(unet.out[-1].bias)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def _scale(corpus: Corpus, first_stage: FirstStage) -> float:
    """1 / standard deviation of the latents of 64 targets spread over the corpus."""
    chosen = [corpus.targets[int(i)] for i in np.linspace(0, len(corpus.targets) - 1, 64)]
    pictures = stack([corpus.picture(target.picture)[None] for target in chosen])
    latents = torch.cat([first_stage.encode(u8_to_tensor(part)) for part in pictures.split(8)])
    return float(f"{1.0 / latents.std().item():.4g}")


def _cache(spec: TrainSpec, groups: Groups, first_stage: FirstStage) -> LatentCache | None:
    folder = spec.diffusion.cache
    if not folder:
        return None
    if not groups.recipes:
        raise TrainingError(
            "diffusion.cache is set, but every example is a new one.",
            expected="a limited number of examples",
            remedy="set groups.variants to 1 or more, or leave diffusion.cache out",
        )
    return LatentCache(Path(folder), cache_key(spec.corpus, groups, first_stage))


def _on_gpu(spec: TrainSpec) -> bool:
    return torch.cuda.is_available() and not spec.run.cpu


def _checkpoint_blocks(unet: UNet) -> None:
    """Keep only the blocks' inputs for the way back, and compute the rest again."""
    for block in [*unet.input_blocks, unet.middle_block, *unet.output_blocks]:
        original = block.forward
        setattr(block, "forward", partial(checkpoint, original, use_reentrant=False))  # noqa: B010 (another type)
