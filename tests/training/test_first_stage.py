"""Tests of the gradients that the losses of the first stage's two parts leave in each part."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from refldm_core.model.vqgan import FirstStage, FirstStageSpec
from refldm_core.training.first_stage import AutoencoderPart, Discriminator, DiscriminatorPart
from refldm_core.training.losses import FirstStageLossSpec, hinge_discriminator
from refldm_core.training.task import Batch

from .runs import FIRST_STAGE, SIZE, with_tuples

ADVERSARIAL = 0.3
LOSS = FirstStageLossSpec(perceptual=0.0, adversarial=ADVERSARIAL, discriminator_from=0, discriminator_width=8)


@pytest.fixture
def parts() -> tuple[AutoencoderPart, DiscriminatorPart]:
    torch.manual_seed(0)
    discriminator = Discriminator(LOSS.discriminator_width)
    autoencoder = AutoencoderPart(FirstStage(FirstStageSpec(**with_tuples(FIRST_STAGE))), discriminator, None, LOSS)
    return autoencoder, DiscriminatorPart(discriminator, autoencoder, LOSS)


@pytest.fixture
def batches() -> list[Batch]:
    """Two micro-batches."""
    rng = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (2, 3, 3, SIZE, SIZE), generator=rng, dtype=torch.uint8)
    return [{"pictures": part, "weights": torch.ones(3, 1, SIZE, SIZE)} for part in pictures]


def gradients(module: nn.Module) -> list[Tensor | None]:
    return [parameter.grad for parameter in module.parameters()]


def clones(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors if tensor is not None]


def test_the_autoencoders_loss_leaves_no_gradient_in_the_discriminator(
    parts: tuple[AutoencoderPart, DiscriminatorPart], batches: list[Batch]
) -> None:
    autoencoder, judge = parts
    loss, logs = autoencoder(batches[0], 0)
    assert "verdict" in logs
    loss.backward()
    assert gradients(judge) == [None] * len(gradients(judge))
    assert all(parameter.requires_grad for parameter in judge.parameters())
    assert all(gradient is not None for gradient in gradients(autoencoder.first_stage.decoder))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_discriminators_gradient_is_that_of_its_own_loss(
    parts: tuple[AutoencoderPart, DiscriminatorPart], batches: list[Batch], dtype: torch.dtype
) -> None:
    """The losses run in the order of the training loop, over two micro-batches, with and without mixed precision."""
    autoencoder, judge = parts
    reconstructions: list[Tensor] = []
    for batch in batches:
        for part in parts:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                # Data-parallel training passes a copy of the batch to each part.
                loss = part(dict(batch), 0)[0]
            (loss / len(batches)).backward()
        reconstructions.append(autoencoder.reconstruction)
    accumulated = clones(gradients(judge))
    judge.zero_grad()
    for batch, reconstruction in zip(batches, reconstructions, strict=True):
        truth = batch["pictures"].float() / 127.5 - 1.0
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            own_loss = hinge_discriminator(judge.discriminator(truth), judge.discriminator(reconstruction))
        (own_loss / len(batches)).backward()
    for gradient, expected in zip(accumulated, clones(gradients(judge)), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_verdict_weighs_as_much_as_the_rest_in_the_last_layer(
    parts: tuple[AutoencoderPart, DiscriminatorPart], batches: list[Batch], compiled: bool
) -> None:
    """Its gradient there is as long as that of the other terms, times `adversarial` (VQGAN, eq. 7)."""
    autoencoder, judge = parts
    first_stage = autoencoder.first_stage
    last = first_stage.decoder.conv_out.weight
    assert isinstance(last, Tensor)
    truth = batches[0]["pictures"].float() / 127.5 - 1.0
    picture = first_stage.decode(first_stage.encode(truth))
    rest = torch.autograd.grad((picture - truth).abs().mean(), last, retain_graph=True)[0]
    verdict = torch.autograd.grad(-judge.discriminator(picture).mean(), last)[0]
    if compiled:
        first_stage.encoder.compile(backend="aot_eager")
        first_stage.decoder.compile(backend="aot_eager")
    autoencoder(batches[0], 0)[0].backward()
    assert last.grad is not None
    expected = rest + ADVERSARIAL * rest.norm() / (verdict.norm() + 1e-4) * verdict
    torch.testing.assert_close(last.grad, expected, rtol=1e-3, atol=1e-6)
