"""Train the first stage, a VQGAN (arXiv 2012.09841; paper section 3.1)."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.func import functional_call

from ..checkpoints.building import load_first_stage
from ..checkpoints.published import save_tensors
from ..data.corpus import open_corpus
from ..images import round_to_u8, u8_to_tensor
from ..model.attention import fused_attention
from ..model.vqgan import FirstStage
from ..model.vqgan_blocks import MiddleAttention, ResnetBlock
from .ema import swapped_weights
from .examples import PictureExamples
from .latents import quantize
from .losses import FirstStageLossSpec, codebook_terms, hinge_discriminator
from .recognition import PerceptualDistance
from .spec import TrainSpec
from .task import Batch, Logs, Part, TrainingError, derive, generator

_ENTRIES_PER_DRAW = 256
"""Codebook entries that are taken from the latents of eight pictures."""


class Discriminator(nn.Sequential):
    """PatchGAN (arXiv 1611.07004): gives a verdict for each patch of about 70 pixels.

    Args:
        width: channels of the first level.
    """

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for into, out, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 1)):
            # Group norm: unlike batch norm, it does not depend on how the batch is divided among processes.
            layers += [nn.Conv2d(into, out, 4, stride, 1, bias=False), nn.GroupNorm(8, out), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(4 * width, 1, 4, 1, 1))


class AutoencoderPart(Part):
    """Encoder, codebook and decoder with their loss.

    Args:
        first_stage: the model to train.
        discriminator: judges the reconstructions. The loss of this part leaves no gradient in it.
        perceptual: the perceptual distance; None without that term.
        spec: weights and start of the terms.

    Attributes:
        reconstruction: (batch, 3, height, width) output of the last forward pass, without gradient. It is not stored in
            the batch, because data-parallel training passes a copy of the batch to each part.
    """

    name = "autoencoder"
    discriminator: Discriminator
    perceptual: PerceptualDistance | None
    reconstruction: Tensor

    def __init__(
        self,
        first_stage: FirstStage,
        discriminator: Discriminator,
        perceptual: PerceptualDistance | None,
        spec: FirstStageLossSpec,
    ) -> None:
        super().__init__()
        self.first_stage = first_stage
        self.spec = spec
        self.attach_frozen(discriminator=discriminator, perceptual=perceptual)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        spec, model = self.spec, self.first_stage
        truth = u8_to_tensor(batch["pictures"])
        z = model.encode(truth).float()
        logs: Logs = {}
        codebook = torch.zeros((), device=z.device)
        if step >= spec.quantize_from:
            indices = quantize(model, z).indices
            nearest = F.embedding(indices, model.quantize.embedding.weight).movedim(-1, 1)
            codebook = codebook_terms(z, nearest)
            logs["codebook"] = codebook
            picture = model.decode(z + (nearest - z).detach(), quantize=False).float()
        else:
            picture = model.decode(z, quantize=False).float()
        self.reconstruction = picture.detach()
        difference = (picture - truth).abs()
        logs["l1"] = difference.mean()
        logs["psnr"] = -10.0 * torch.log10((picture - truth).square().mean() / 4.0)
        difference = difference * batch["weights"]
        loss = difference.mean()
        if self.perceptual is not None:
            logs["perceptual"] = self.perceptual(picture, truth)
            loss = loss + spec.perceptual * logs["perceptual"]
        if spec.adversarial and step >= spec.discriminator_from:
            verdict = -self._judge(picture).mean()
            loss = loss + spec.adversarial * self._balance(loss, verdict) * verdict
            logs["verdict"] = verdict
        return loss + spec.codebook * codebook, logs

    def _judge(self, picture: Tensor) -> Tensor:
        """Return the discriminator's verdicts. The gradient reaches the picture, but not the weights."""
        weights = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, weights, (picture,))

    def _balance(self, rest: Tensor, verdict: Tensor) -> Tensor:
        """Return the weight that makes the verdict's gradient in the last layer as long as that of `rest` (eq. 7)."""
        last = cast(Tensor, self.first_stage.decoder.conv_out.weight)
        of_rest, of_verdict = (torch.autograd.grad(term, last, retain_graph=True)[0] for term in (rest, verdict))
        return (of_rest.norm() / (of_verdict.norm() + 1e-4)).clamp(0.0, 1e4).detach()


class DiscriminatorPart(Part):
    """The discriminator with its loss. It judges the reconstructions that the autoencoder made of the same batch.

    Args:
        discriminator: the network to train.
        autoencoder: the part whose forward pass on the batch comes first.
        spec: start of the discriminator's loss.
    """

    name = "discriminator"
    autoencoder: AutoencoderPart

    def __init__(self, discriminator: Discriminator, autoencoder: AutoencoderPart, spec: FirstStageLossSpec) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.spec = spec
        self.attach_frozen(autoencoder=autoencoder)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        if step < self.spec.discriminator_from:
            weight = next(self.parameters())
            return weight.sum() * 0.0, {}
        real = self.discriminator(u8_to_tensor(batch["pictures"]))
        fake = self.discriminator(self.autoencoder.reconstruction)
        return hinge_discriminator(real, fake), {"real": real.mean(), "fake": fake.mean()}


class FirstStageTask:
    """Trains a first stage; see `Task`.

    Args:
        spec: config of the run; `run.batch` counts pictures.

    Raises:
        TrainingError: the size of the pictures or of the windows does not fit the model.
        DataError: the corpus cannot be opened.
    """

    def __init__(self, spec: TrainSpec) -> None:
        self.spec = spec
        section = spec.first_stage
        if section.init:
            first_stage = load_first_stage(Path(section.init)).train()
        else:
            first_stage = FirstStage(section.model, attention=fused_attention)
            _zero_residual_branches(first_stage)
        down = first_stage.spec.downsampling
        if spec.corpus.size % down or section.crop % down or section.crop > spec.corpus.size:
            raise TrainingError(
                f"corpus.size is {spec.corpus.size} and first_stage.crop {section.crop}.",
                expected=f"multiples of {down}, the first stage's downsampling, and no crop larger than the picture",
                remedy="change corpus.size or first_stage.crop",
            )
        self.examples = PictureExamples(
            open_corpus(spec.corpus), spec.corpus.size, section.crop, section.loss.face_weight
        )
        discriminator = Discriminator(section.loss.discriminator_width)
        perceptual = PerceptualDistance(section.loss.network) if section.loss.perceptual else None
        self.frozen: nn.Module = perceptual if perceptual is not None else nn.Identity()
        self.autoencoder = AutoencoderPart(first_stage, discriminator, perceptual, section.loss)
        self.parts: Sequence[Part] = (self.autoencoder,)
        if section.loss.adversarial:
            self.parts = (self.autoencoder, DiscriminatorPart(discriminator, self.autoencoder, section.loss))
        if spec.run.compile:
            first_stage.encoder.compile()
            first_stage.decoder.compile()

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        loss = self.spec.first_stage.loss
        if loss.quantize_from and step == loss.quantize_from:
            _start_codebook(self.autoencoder.first_stage, self.examples, derive(self.spec.seed, 4))

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        prefix = "first_stage."
        path = folder / "vqgan.ckpt"
        save_tensors({n.removeprefix(prefix): t for n, t in ema[self.autoencoder.name].items()}, path)
        return (path,)

    @torch.no_grad()
    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image | None:
        """See `Task`. The upper row shows pictures, the lower row their reconstructions."""
        pictures = _eight_pictures(self.examples, self.spec.seed, 5)
        with swapped_weights(self.autoencoder, ema[self.autoencoder.name]):
            model = self.autoencoder.first_stage
            device = next(model.parameters()).device
            reconstructions = model.decode(model.encode(u8_to_tensor(pictures).to(device)).float())
        grid = torch.cat(
            [torch.cat(list(pictures), dim=-1), torch.cat(list(round_to_u8(reconstructions.float().cpu())), dim=-1)],
            dim=-2,
        )
        return Image.fromarray(grid.movedim(0, -1).contiguous().numpy())


def _zero_residual_branches(first_stage: FirstStage) -> None:
    """Let each residual branch start from zero: the model then learns more in its first hundred steps."""
    for module in first_stage.modules():
        if isinstance(module, ResnetBlock | MiddleAttention):
            last = module.conv2 if isinstance(module, ResnetBlock) else module.proj_out
            nn.init.zeros_(last.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(last.bias)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def _start_codebook(first_stage: FirstStage, examples: PictureExamples, seed: int) -> None:
    """Set the codebook to latents of the corpus, so that no entry starts unused; the same on every process."""
    weight = first_stage.quantize.embedding.weight
    entries: list[Tensor] = []
    while sum(map(len, entries)) < len(weight):
        pictures = _eight_pictures(examples, seed, len(entries))
        z = first_stage.encode(u8_to_tensor(pictures).to(weight.device)).float()
        pixels = z.movedim(1, -1).reshape(-1, z.shape[1]).cpu()
        # Only a few latent pixels are taken from each picture, so that the entries come from many pictures.
        order = torch.randperm(len(pixels), generator=generator(derive(seed, len(entries))))
        entries.append(pixels[order[:_ENTRIES_PER_DRAW]])
    weight.copy_(torch.cat(entries)[: len(weight)].to(weight))


def _eight_pictures(examples: PictureExamples, seed: int, key: int) -> Tensor:
    """Return (8, 3, height, width) uint8, a function of the seed and the key."""
    return examples.collate([examples[derive(seed, key, i)] for i in range(8)])["pictures"]
