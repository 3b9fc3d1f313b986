"""Latents of the pictures of a batch: encoded by the frozen first stage, and cached where examples occur again."""

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


def quantize(first_stage: FirstStage, latents: Tensor) -> Quantized:
    """Return the nearest codebook entries. Half precision would pick other entries, so float32 is always used.

    Args:
        first_stage: the model with the codebook.
        latents: (batch, c, h, w), not scaled.
    """
    with torch.autocast(latents.device.type, enabled=False):
        return first_stage.quantize(latents.float())


def encode(first_stage: FirstStage, pictures: Tensor) -> Tensor:
    """Return the latents of pictures. They are what the model learns, so float32 is always used.

    Args:
        first_stage: the encoder, with float32 weights.
        pictures: (batch, 3, height, width) in [-1, 1].

    Returns:
        (batch, c, h, w) float32, not scaled.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        return first_stage.encode(pictures.float())


def decode(first_stage: FirstStage, latents: Tensor) -> Tensor:
    """Quantize and decode latents. The gradient passes straight through the quantizer.

    Args:
        first_stage: the codebook and the decoder.
        latents: (batch, c, h, w), not scaled.

    Returns:
        (batch, 3, height, width), approximately in [-1, 1].
    """
    return first_stage.decode(quantize(first_stage, latents).z, quantize=False)


class GroupLatents(NamedTuple):
    """Latents of several groups, scaled for the U-Net.

    Attributes:
        targets: (targets, c, h, w) for each group.
        lq: (targets, c, h, w) for each group.
        references: (references, c, h, w) for each group.
    """

    targets: list[Tensor]
    lq: list[Tensor]
    references: list[Tensor]


def cache_key(corpus: CorpusSpec, groups: Groups, first_stage: FirstStage) -> str:
    """Return a text that changes with everything that the latents of an example depend on.

    The pixels of one example stand for the code that draws, degrades and augments. The files of a folder enter by their
    size and time of change.

    Args:
        corpus: the corpus that `groups` draws from.
        groups: draws the examples.
        first_stage: encodes the examples, in float32.
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
    """Latents of examples by recipe, in files of a folder. Several processes may share the folder.

    Args:
        folder: folder of all caches; created where it is missing.
        key: text from `cache_key`. Each key has its own subfolder.

    Raises:
        OutputError: the folder cannot be created.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        make_folder(self.folder)
        self._in_memory: dict[int, Mapping[str, Tensor]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave out the latents in memory: a pickled copy reads the files itself."""
        return {**vars(self), "_in_memory": {}}

    def contains(self, recipe: int) -> bool:
        """Return whether the latents of an example are cached, so that its pictures need not be drawn."""
        return recipe in self._in_memory or self._path(recipe).exists()

    def get(self, recipe: int) -> Mapping[str, Tensor]:
        """Return the cached latents of an example."""
        if recipe not in self._in_memory:
            # A copy: another process may write the same file, and Windows does not replace a mapped file.
            self._in_memory[recipe] = read_tensors(self._path(recipe), copy=True).tensors
        return self._in_memory[recipe]

    def put(self, recipe: int, latents: dict[str, Tensor]) -> None:
        """Cache the latents of an example."""
        write_safetensors(latents, self._path(recipe), {})
        self._in_memory[recipe] = latents

    def _path(self, recipe: int) -> Path:
        return self.folder / f"{recipe}.safetensors"


class GroupEncoder:
    """Encodes groups of pictures into latents.

    Args:
        first_stage: the frozen encoder, with float32 weights.
        scale_factor: factor that the latents are multiplied by.
        cache: cache of latents; None encodes every time.
    """

    def __init__(self, first_stage: FirstStage, scale_factor: float, cache: LatentCache | None) -> None:
        self.first_stage = first_stage
        self.scale_factor = scale_factor
        self.cache = cache

    @torch.no_grad()
    def encode(self, groups: Sequence[Group]) -> GroupLatents:
        """Return the latents of groups. References are encoded side by side as one picture, as in restoring."""
        latents = [self._scaled(group) for group in groups]
        return GroupLatents(*([tensors[name] for tensors in latents] for name in ("targets", "lq", "references")))

    def _scaled(self, group: Group) -> dict[str, Tensor]:
        device = next(self.first_stage.parameters()).device
        if self.cache is None:
            return {name: value * self.scale_factor for name, value in self._encode(group, device).items()}
        if not self.cache.contains(group.recipe):
            self.cache.put(group.recipe, {n: v.cpu() for n, v in self._encode(group, device).items()})
        latents = self.cache.get(group.recipe)
        return {name: value.to(device) * self.scale_factor for name, value in latents.items()}

    def _encode(self, group: Group, device: torch.device) -> dict[str, Tensor]:
        count = len(group.targets)
        pictures = u8_to_tensor(stack([group.targets, group.lq])).to(device)
        latents = encode(self.first_stage, pictures)
        references = latents[:0]
        if len(group.references):
            wide = torch.cat(list(u8_to_tensor(stack([group.references])).to(device)), dim=-1).unsqueeze(0)
            references = torch.cat(encode(self.first_stage, wide).chunk(len(group.references), dim=-1))
        return {
            "targets": latents[:count].contiguous(),
            "lq": latents[count:].contiguous(),
            "references": references.contiguous(),
        }
