"""Train the diffusion model, without references (ldm) or with references (refldm): paper sections 3.2 and 3.3."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from ..checkpoints.published import save_refldm
from ..data.corpus import open_corpus
from ..data.groups import Group, Groups, stack
from ..images import round_to_u8, u8_to_tensor
from ..model.reference import ReferenceKV
from ..model.unet import UNet
from ..model.vqgan import FirstStage
from ..pipeline import Restorer, SamplingSettings
from .ema import swapped_weights
from .examples import GroupExamples
from .latents import GroupEncoder, LatentCache, cache_key, decode, encode
from .recognition import IdentityNetwork, differentiable_recognizer
from .restoration_loss import RestorationLoss
from .restoration_networks import build_networks, checkpoint_blocks
from .spec import TrainSpec
from .task import Batch, Logs, Part, TrainingError, derive, generator


@dataclass(frozen=True)
class RandomDraw:
    """The random choices for the targets of a group. They are a function of the item's seed.

    Attributes:
        noise: (targets, c, h, w) true noise.
        t: (targets,) int64 timesteps.
        keep_lq: (targets,) bool; False hides the LQ picture (its latent becomes zero).
        references: "shown", "null" (zero latents, the null of guidance) or "none" (an empty cache).
    """

    noise: Tensor
    t: Tensor
    keep_lq: Tensor
    references: str


class RestorationPart(Part):
    """The U-Net with its loss.

    Args:
        unet: the network to train.
        loss: see `RestorationLoss`.
        encoder: encodes the pictures of a batch.
        spec: config of the run.
    """

    name = "unet"

    loss: RestorationLoss

    def __init__(self, unet: UNet, loss: RestorationLoss, encoder: GroupEncoder, spec: TrainSpec) -> None:
        super().__init__()
        self.unet = unet
        self.encoder = encoder
        self.spec = spec
        self.attach_frozen(loss=loss)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        groups: list[Group] = batch["groups"]
        targets, lq, references = self.encoder.encode(groups)
        draws = [self._draw(seed, latents) for seed, latents in zip(batch["seeds"], targets, strict=True)]
        x_0 = torch.cat(targets)
        t = torch.cat([draw.t for draw in draws]).to(x_0.device)
        noise = torch.cat([draw.noise for draw in draws]).to(x_0)
        keep_lq = torch.cat([draw.keep_lq for draw in draws]).to(x_0)
        x_t = self.loss.noised(x_0, noise, t)
        x = torch.cat([x_t, torch.cat(lq) * keep_lq[:, None, None, None]], dim=1)
        caches = self._caches(references, draws)
        cache_of_target = [cache for cache, latents in zip(caches, targets, strict=True) for _ in range(len(latents))]
        eps = self.unet(x, t, cache_of_target)
        terms = self.loss(eps, x_t, noise, t, self._identity_target(groups, step))
        loss = terms.noise.mean()
        logs = {"noise": loss}
        if terms.identity is not None:
            logs["identity"] = terms.identity.mean()
            loss = loss + self.spec.diffusion.loss.identity.weight * logs["identity"]
        return loss, logs

    def _draw(self, seed: int, targets: Tensor) -> RandomDraw:
        rng = generator(derive(seed, 2))
        drop = self.spec.diffusion.drop
        count = len(targets)
        noise = torch.randn(targets.shape, generator=rng)
        t = torch.randint(len(self.loss.alphas_cumprod), (count,), generator=rng)
        keep_lq = torch.rand(count, generator=rng) >= drop.lq
        hidden = torch.rand((), generator=rng).item()
        references = "null" if hidden < drop.references else "none" if hidden < drop.references + drop.none else "shown"
        return RandomDraw(noise, t, keep_lq, references)

    def _caches(self, references: Sequence[Tensor], draws: Sequence[RandomDraw]) -> list[ReferenceKV | None]:
        """Return the CacheKV of each group. One pass computes all of them, and gradients flow through it."""
        visible = [
            latents if draw.references == "shown" else torch.zeros_like(latents)
            for latents, draw in zip(references, draws, strict=True)
        ]
        counts = [
            0 if draw.references == "none" else len(latents) for latents, draw in zip(visible, draws, strict=True)
        ]
        if not sum(counts):
            return [None] * len(counts)
        cache_of_all = self.unet.encode_references(
            torch.cat([latents[:count] for latents, count in zip(visible, counts, strict=True)])
        )
        caches: list[ReferenceKV | None] = []
        first = 0
        for count in counts:
            caches.append(cache_of_all.select(*range(first, first + count)) if count else None)
            first += count
        return caches

    @torch.no_grad()
    def _identity_target(self, groups: Sequence[Group], step: int) -> Tensor | None:
        """Return the target of the identity term: the first stage's reconstructions of the first pictures."""
        spec = self.spec.diffusion.loss.identity
        if self.loss.identity is None or step < spec.from_step:
            return None
        pictures = stack([group.targets for group in groups])
        share = pictures[: max(1, round(spec.share * len(pictures)))]
        truth = u8_to_tensor(share).to(self.loss.alphas_cumprod.device)
        with torch.autocast(truth.device.type, enabled=False):
            return decode(self.loss.first_stage, encode(self.loss.first_stage, truth))


class RestorationTask:
    """Trains the U-Net of a ReF-LDM; see `Task`.

    Args:
        spec: config of the run; `run.batch` counts groups of targets.

    Raises:
        TrainingError: there is no first stage or no recognizer, or settings contradict each other.
        DataError: the corpus cannot be opened, or a target has no references.
        CheckpointError: a model file cannot be used.
    """

    def __init__(self, spec: TrainSpec) -> None:
        self.spec = spec
        groups = spec.groups if spec.task == "refldm" else replace(spec.groups, references=0)
        corpus = open_corpus(spec.corpus)
        self.groups = Groups(corpus, groups)
        unet, first_stage, self.model = build_networks(spec, corpus)
        identity = spec.diffusion.loss.identity
        recognizer = IdentityNetwork(differentiable_recognizer(Path(identity.recognizer))) if identity.weight else None
        alphas = torch.from_numpy(self.model.noise.alphas_cumprod)
        self.loss = RestorationLoss(spec.diffusion.loss, alphas, first_stage, self.model.scale_factor, recognizer)
        self.frozen: nn.Module = self.loss
        cache = _cache(spec, self.groups, first_stage)
        self.examples = GroupExamples(self.groups, cache, pictures_needed=identity.weight > 0)
        encoder = GroupEncoder(first_stage, self.model.scale_factor, cache)
        self.part = RestorationPart(unet, self.loss, encoder, spec)
        self.parts: Sequence[Part] = (self.part,)
        if spec.run.checkpoint_activations:
            checkpoint_blocks(unet)
        if spec.run.compile:
            unet.compile()

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        pass

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        prefix = "unet."
        raw = self.part.unet.state_dict()
        average = {name.removeprefix(prefix): tensor for name, tensor in ema[self.part.name].items()}
        return save_refldm(folder, self.model, raw, average, self.loss.first_stage.state_dict(), updates=step)

    @torch.no_grad()
    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image | None:
        """See `Task`. A row: LQ picture, restorations without and with references, truth, two references."""
        groups = [self.groups.draw(self.groups.recipe(derive(self.spec.seed, 3, i))) for i in range(4)]
        device = self.loss.alphas_cumprod.device
        settings = SamplingSettings(steps=20, guidance=1.0)
        with swapped_weights(self.part, ema[self.part.name]):
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
