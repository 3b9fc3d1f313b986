"""Latents of a batch's pictures, encoded by the frozen first stage, and kept where examples come again."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..checkpoints.reading import read_tensors
from ..checkpoints.saving import write_safetensors
from ..data.corpus import CorpusSpec
from ..data.groups import Group, Groups, stack
from ..files import make_folder
from ..images import u8_to_tensor
from ..model.fingerprint import fingerprint
from ..model.vqgan import FirstStage, Quantized
from ..pictures.formats import pictures_in


def quantized(first_stage: FirstStage, latents: Tensor) -> Quantized:
    """The nearest codebook entries, in float32 also where the rest runs in half precision, which would pick others.

    Args:
        first_stage: whose codebook.
        latents: (batch, c, h, w), not scaled.
    """
    with torch.autocast(latents.device.type, enabled=False):
        return first_stage.quantize(latents.float())


def encoded(first_stage: FirstStage, pictures: Tensor) -> Tensor:
    """Latents of pictures, in float32 also where the rest runs in half precision: they are the truth to learn.

    Args:
        first_stage: encodes, with float32 weights.
        pictures: (batch, 3, height, width) in [-1, 1].

    Returns:
        (batch, c, h, w) float32, not scaled.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        return first_stage.encode(pictures.float())


def decoded(first_stage: FirstStage, latents: Tensor) -> Tensor:
    """Pictures of latents through the quantizer; the gradient passes straight through it.

    Args:
        first_stage: decodes.
        latents: (batch, c, h, w), not scaled.

    Returns:
        (batch, 3, height, width), about [-1, 1].
    """
    return first_stage.decode(quantized(first_stage, latents).z, quantize=False)


class GroupLatents(NamedTuple):
    """For each group (targets, c, h, w), (targets, c, h, w) and (references, c, h, w), scaled for the U-Net."""

    targets: list[Tensor]
    lq: list[Tensor]
    references: list[Tensor]


def cache_key(corpus: CorpusSpec, groups: Groups, first_stage: FirstStage) -> str:
    """Everything that the latents of an example depend on, for `LatentCache`.

    An example drawn anew stands for the code that draws, degrades and augments; pictures of a folder count by their
    size and time of change.

    Args:
        corpus: what `groups` draws from.
        groups: draws the examples.
        first_stage: encodes them, in float32.
    """
    digest = hashlib.sha256(repr(groups.corpus.targets).encode())
    if corpus.kind == "folder":
        for path in pictures_in(Path(corpus.folder), subfolders=False):
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    example = groups.draw(0)
    for pictures in (example.targets, example.lq, example.references):
        digest.update(pictures.tobytes())
    weights = fingerprint(first_stage.state_dict())
    return f"{corpus} {groups.spec} {digest.hexdigest()} float32 {weights}"


class LatentCache:
    """Latents of examples by number, in a folder; several processes may share it.

    Args:
        folder: made where it is missing.
        about: everything that the latents depend on, as `cache_key` says it; another text is another subfolder.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, about: str) -> None:
        self.folder = folder / hashlib.sha256(about.encode()).hexdigest()[:16]
        make_folder(self.folder)
        self._here: dict[int, Mapping[str, Tensor]] = {}

    def __getstate__(self) -> dict[str, object]:
        """A pickled copy reads the folder anew; the latents in memory stay here."""
        return {**vars(self), "_here": {}}

    def known(self, recipe: int) -> bool:
        """Whether the example's latents are kept, so that its pictures need not be drawn."""
        return recipe in self._here or self._path(recipe).exists()

    def get(self, recipe: int) -> Mapping[str, Tensor]:
        if recipe not in self._here:
            # Copied: another process may write the same file, and Windows does not replace a mapped one.
            self._here[recipe] = read_tensors(self._path(recipe), copy=True).tensors
        return self._here[recipe]

    def put(self, recipe: int, latents: dict[str, Tensor]) -> None:
        write_safetensors(latents, self._path(recipe), {})
        self._here[recipe] = latents

    def _path(self, recipe: int) -> Path:
        return self.folder / f"{recipe}.safetensors"


class Latents:
    """Encodes groups.

    Args:
        first_stage: frozen.
        scale_factor: of the latents.
        cache: None encodes every time.
    """

    def __init__(self, first_stage: FirstStage, scale_factor: float, cache: LatentCache | None) -> None:
        self.first_stage = first_stage
        self.scale_factor = scale_factor
        self.cache = cache

    @torch.no_grad()
    def of(self, groups: Sequence[Group]) -> GroupLatents:
        """Latents of the groups' pictures; references are encoded side by side, as restoring does."""
        latents = [self._one(group) for group in groups]
        return GroupLatents(*([one[name] for one in latents] for name in ("targets", "lq", "references")))

    def _one(self, group: Group) -> dict[str, Tensor]:
        device = next(self.first_stage.parameters()).device
        if self.cache is None:
            return {name: value * self.scale_factor for name, value in self._encode(group, device).items()}
        if not self.cache.known(group.recipe):
            self.cache.put(group.recipe, {n: v.cpu() for n, v in self._encode(group, device).items()})
        latents = self.cache.get(group.recipe)
        return {name: value.to(device) * self.scale_factor for name, value in latents.items()}

    def _encode(self, group: Group, device: torch.device) -> dict[str, Tensor]:
        count = len(group.targets)
        pictures = u8_to_tensor(stack([group.targets, group.lq])).to(device)
        latents = encoded(self.first_stage, pictures)
        references = latents[:0]
        if len(group.references):
            wide = torch.cat(list(u8_to_tensor(stack([group.references])).to(device)), dim=-1).unsqueeze(0)
            references = torch.cat(encoded(self.first_stage, wide).chunk(len(group.references), dim=-1))
        return {
            "targets": latents[:count].contiguous(),
            "lq": latents[count:].contiguous(),
            "references": references.contiguous(),
        }
