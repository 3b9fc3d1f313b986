"""The stages of restoring one face, each as a function that can be timed or counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from refldm_core.diffusion.guidance import guided
from refldm_core.diffusion.sampling import Model, ddim, initial_noise
from refldm_core.diffusion.schedule import sampling_table
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import PUBLISHED_SEED, Restorer

from .published import make_published, reference_passes

GUIDANCE = 1.5

Procedure = Literal["published", "ours"]


@dataclass
class Stages:
    """The stages of restoring one face with its references.

    Attributes:
        restorer: the model; `make_published` changes it in place for the published procedure.
        procedure: "published", or "ours" for the procedure of this package.
        lq: degraded face, (1, 3, size, size) in [-1, 1].
        references: (references, 3, size, size) in [-1, 1].
    """

    restorer: Restorer
    procedure: Procedure
    lq: Tensor
    references: Tensor

    def __post_init__(self) -> None:
        if self.procedure == "published":
            make_published(self.restorer)
        self.latent = torch.empty(0)
        self.reference_latents = torch.empty(0)
        self.kv: tuple[ReferenceKV, ReferenceKV] | None = None

    def all(self) -> dict[str, Callable[[], Any]]:
        """Return name -> stage, in the order in which the stages must run the first time."""
        return {
            "encode LQ": self.encode,
            "encode references": self.encode_references,
            "reference passes": self.reference_passes,
            "step": self.step,
            "decode": self.decode,
        }

    def encode(self) -> None:
        self.latent = self.restorer.encode(self.lq)

    def encode_references(self) -> None:
        wide = torch.cat(list(self.references), dim=-1).unsqueeze(0)
        self.reference_latents = torch.cat(self.restorer.encode(wide).chunk(len(self.references), dim=-1))

    @torch.no_grad()
    def reference_passes(self) -> None:
        latents = self.reference_latents.to(self.restorer.dtype)
        if self.procedure == "published":
            self.kv = reference_passes(self.restorer, latents)
        else:
            size = (latents.shape[2], latents.shape[3])
            null = self.restorer.null_references(len(latents), size)
            self.kv = self.restorer.unet.encode_references(latents), null

    def model(self) -> Model:
        """Return the guided noise prediction, for a sampler."""
        assert self.kv is not None
        kv, null = self.kv

        def predict(x: Tensor, t: int, references: Sequence[ReferenceKV]) -> Tensor:
            lq = self.latent.expand(len(x), -1, -1, -1)
            timesteps = torch.full((len(x),), t, device=x.device)
            return self.restorer.unet(torch.cat([x, lq], dim=1).to(self.restorer.dtype), timesteps, references).float()

        return guided(predict, [kv], [null], GUIDANCE)

    @torch.no_grad()
    def step(self) -> None:
        """Predict the noise once, with guidance. The arithmetic of the sampler itself takes only microseconds."""
        x = torch.zeros_like(self.latent)
        self.model()(x, 499)

    def decode(self) -> Tensor:
        return self.restorer.decode(self.latent)

    @torch.no_grad()
    def whole(self, steps: int) -> Tensor:
        """Restore the face from the pictures: (1, 3, size, size) in about [-1, 1]."""
        self.encode()
        self.encode_references()
        self.reference_passes()
        noise, _ = initial_noise([PUBLISHED_SEED], (self.latent.shape[1], self.latent.shape[2], self.latent.shape[3]))
        table = sampling_table(self.restorer.spec.noise, steps)
        return self.restorer.decode(ddim(self.model(), noise.to(self.latent), table))
