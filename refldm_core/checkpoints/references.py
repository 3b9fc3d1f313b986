"""A person's keys and values in a file: built once, used in every later session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import CheckpointError, OutOfRangeError, ReferencesError, shortened
from ..model.attention import KeyValue
from ..model.reference import ReferenceKV
from ..ranges import Range
from .reading import TensorFile, read_tensors
from .saving import write_safetensors

_KEY = "refldm.references"
_THUMBNAILS = "thumbnails"
_LATENTS = "latents"
_VERSION = 1
_COUNT = Range(1, 10_000, whole=True)
_SIDE = Range(1, 1024, whole=True)
_LARGEST_THUMBNAIL = 1024  # pixels


@dataclass(frozen=True)
class StoredReferences:
    """What a reference file holds.

    Attributes:
        references: the keys and values, on the CPU in the stored type.
        names: what each reference was called, empty or one for each.
        thumbnails: (references, 3, height, width) uint8 pictures to recognize them by, or None.
        latents: (references, c, h, w) float32, what the keys and values were made from, or None. With them they can
            be made again for the same model with a LoRA.
    """

    references: ReferenceKV
    names: tuple[str, ...] = ()
    thumbnails: Tensor | None = None
    latents: Tensor | None = None

    def __post_init__(self) -> None:
        count = self.references.count
        pictures = [part for part in (self.thumbnails, self.latents) if part is not None]
        if len(self.names) not in (0, count) or any(len(part) != count for part in pictures):
            raise ReferencesError(
                f"Names, thumbnails or latents do not fit {count} references.",
                expected="one for each reference, or none",
                remedy="pass them in the references' order",
            )

    @property
    def holds_pictures(self) -> bool:
        """Whether the photos can be seen in it: as thumbnails, or decoded from the latents."""
        return self.thumbnails is not None or self.latents is not None

    def without_pictures(self) -> StoredReferences:
        """The same references as keys and values alone, which still tell one person from another."""
        return replace(self, thumbnails=None, latents=None)


def save_references(stored: StoredReferences, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write references to a .safetensors file, atomically.

    Args:
        stored: what to write.
        path: of the file.
        dtype: of the stored keys and values.

    Raises:
        ReferencesError: a value that `dtype` cannot hold, or a strength, which belongs to a restoration.
        OutputError: the file cannot be written; `path` is then as before.
    """
    if stored.references.strength != 1.0:
        raise ReferencesError(
            f"References of the strength {stored.references.strength:g} cannot be saved.",
            expected="references as they were encoded",
            remedy="save them first, then give them a strength",
        )
    kv = stored.references.to("cpu", dtype).written_out()
    if not all(tensor.isfinite().all() for tensor in kv.tensors):
        raise ReferencesError(
            f"The references have values that {dtype} cannot hold.",
            expected=f"values within {torch.finfo(dtype).min:.3g}..{torch.finfo(dtype).max:.3g}",
            remedy="save them as float32, or check the model for NaN",
        )
    tensors = {f"{name}.{part}": getattr(layer, part) for name, layer in kv.layers.items() for part in ("k", "v")}
    if stored.thumbnails is not None:
        tensors[_THUMBNAILS] = stored.thumbnails.to("cpu", torch.uint8).contiguous()
    if stored.latents is not None:
        tensors[_LATENTS] = stored.latents.to("cpu", torch.float32).contiguous()
    described = {
        "version": _VERSION,
        "count": kv.count,
        "latent_size": kv.latent_size,
        "fingerprint": kv.fingerprint,
        "names": stored.names,
    }
    write_safetensors(tensors, path, {_KEY: json.dumps(described)})


def load_references(path: Path) -> StoredReferences:
    """Read what `save_references` wrote. The file is closed afterwards, so that it can be replaced at any time.

    Raises:
        CheckpointError: missing, damaged, or another kind of file; keys, values, latents or thumbnails of other shapes,
            or with values that are not finite. Whether the fingerprint is true shows only with the model: the U-Net
            compares names and shapes of its layers (`ReferenceKV.require_layers`). That the values are what its weights
            make of the photos cannot be verified without encoding them again.
    """
    file = read_tensors(path, copy=True)
    head = _head_of(file)
    layers: dict[str, KeyValue] = {}
    for name in (n.removesuffix(".k") for n in file.tensors if n.endswith(".k")):
        if f"{name}.v" not in file.tensors:
            raise _not_references(path, f"{name} has keys but no values")
        layers[name] = KeyValue(file.tensors[f"{name}.k"], file.tensors[f"{name}.v"])
    try:
        references = ReferenceKV(layers, head.count, head.latent_size, head.fingerprint)
        return StoredReferences(references, head.names, file.tensors.get(_THUMBNAILS), file.tensors.get(_LATENTS))
    except ReferencesError as error:
        raise _not_references(path, error.problem.rstrip(".")) from error


@dataclass(frozen=True)
class ReferencesSummary:
    """What a list of saved people shows of a reference file.

    Attributes:
        count: number of references.
        fingerprint: of the model that made them.
        thumbnails: (references, 3, height, width) uint8, or None.
    """

    count: int
    fingerprint: str
    thumbnails: Tensor | None


def summarize_references(path: Path) -> ReferencesSummary:
    """Read the description and the thumbnails of a reference file, and not its keys and values.

    Raises:
        CheckpointError: missing, damaged, or another kind of file; thumbnails of another shape.
    """
    file = read_tensors(path, copy=True, only={_THUMBNAILS})
    head = _head_of(file)
    return ReferencesSummary(head.count, head.fingerprint, file.tensors.get(_THUMBNAILS))


def _head_of(file: TensorFile) -> _Head:
    """Raises: CheckpointError: metadata without a part, or that does not fit the tensors."""
    described = _described(file)
    try:
        head = _Head.of(described)
        head.check(file.tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_references(file.path, f"its metadata lacks {str(error)[:80]}") from error
    except (ReferencesError, OutOfRangeError) as error:
        raise _not_references(file.path, error.problem.rstrip(".")) from error
    return head


@dataclass(frozen=True)
class _Head:
    """What the metadata says."""

    count: int
    latent_size: tuple[int, int]
    fingerprint: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> _Head:
        height, width = (int(_SIDE.number("latent_size", side)) for side in described["latent_size"])
        name = described["fingerprint"]
        if not isinstance(name, str) or not 1 <= len(name) <= 200:
            raise OutOfRangeError("fingerprint", shortened(name), "the name of a model's weights")
        names = tuple(text if isinstance(text, str) else str(text)[:80] for text in described["names"])
        return cls(int(_COUNT.number("count", described["count"])), (height, width), name, names)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises: ReferencesError: a tensor of another shape or type, or that is not finite."""
        for name, tensor in tensors.items():
            shape = tuple(tensor.shape)
            if name == _THUMBNAILS:
                fits = tensor.dtype == torch.uint8 and len(shape) == 4 and shape[:2] == (self.count, 3)
                fits = fits and all(1 <= side <= _LARGEST_THUMBNAIL for side in shape[2:])
            elif name == _LATENTS:
                fits = len(shape) == 4 and (shape[0], *shape[2:]) == (self.count, *self.latent_size)
                fits = fits and tensor.dtype == torch.float32 and shape[1] > 0
            else:
                fits = name.endswith((".k", ".v")) and len(shape) == 3 and all(shape) and tensor.is_floating_point()
            problem = "" if fits else f"has the shape {shape} and the type {tensor.dtype}"
            if fits and tensor.is_floating_point() and not tensor.isfinite().all():
                problem = "has values that are not finite (NaN or infinity)"
            if problem:
                raise ReferencesError(f"the tensor {name[:80]} {problem}")


def _described(file: TensorFile) -> dict[str, Any]:
    try:
        described = cast(dict[str, Any], json.loads(file.metadata[_KEY]))
        version = int(_COUNT.number("version", described["version"]))
    except (KeyError, ValueError, TypeError, RecursionError, OutOfRangeError) as error:
        raise _not_references(file.path, "its metadata does not describe any") from error
    if version != _VERSION:
        raise _not_references(file.path, f"it has format version {version}, this package reads {_VERSION}")
    return described


def _not_references(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds no references that can be used: {reason}.",
        expected="a file that save_references (or the node Save References) wrote",
        remedy="build the references again from the photos",
    )
