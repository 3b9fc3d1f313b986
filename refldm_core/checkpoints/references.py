"""Save a person's keys and values to a file, and load them in later sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import CheckpointError, OutOfRangeError, ReferencesError, shorten
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
_MAX_THUMBNAIL_SIDE = 1024  # pixels


@dataclass(frozen=True)
class StoredReferences:
    """The content of a reference file.

    Attributes:
        references: The keys and values, on the CPU in the stored type.
        names: One name for each reference, or empty.
        thumbnails: Small pictures of the references, (references, 3, height, width) uint8. None where none are stored.
        latents: The latents from which the keys and values were made, (references, c, h, w) float32. None where none
            are stored. From them the keys and values can be made again for the same model with a LoRA.

    Raises:
        ReferencesError: Names, thumbnails or latents are not one for each reference.
    """

    references: ReferenceKV
    names: tuple[str, ...] = ()
    thumbnails: Tensor | None = None
    latents: Tensor | None = None

    def __post_init__(self) -> None:
        count = self.references.count
        pictures = [batch for batch in (self.thumbnails, self.latents) if batch is not None]
        if len(self.names) not in (0, count) or any(len(batch) != count for batch in pictures):
            raise ReferencesError(
                f"Names, thumbnails or latents do not fit {count} references.",
                expected="one for each reference, or none",
                remedy="pass one for each reference, in the order of the references",
            )

    @property
    def holds_pictures(self) -> bool:
        """Whether the content shows the photos: as thumbnails, or as latents that can be decoded."""
        return self.thumbnails is not None or self.latents is not None

    def without_pictures(self) -> StoredReferences:
        """Return the references without thumbnails and latents. The keys and values still identify the person."""
        return replace(self, thumbnails=None, latents=None)


def save_references(stored: StoredReferences, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write references to a .safetensors file, atomically.

    Args:
        stored: The content to write.
        path: Path of the file.
        dtype: Type of the stored keys and values.

    Raises:
        ReferencesError: `dtype` cannot hold a value. Or the references have a strength, which is a setting of the
            restoration and is not saved.
        OutputError: The file cannot be written. `path` is unchanged.
    """
    if stored.references.strength != 1.0:
        raise ReferencesError(
            f"References of the strength {stored.references.strength:g} cannot be saved.",
            expected="references as they were encoded, with the strength 1",
            remedy="save them first, then set their strength",
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
    description = {
        "version": _VERSION,
        "count": kv.count,
        "latent_size": kv.latent_size,
        "fingerprint": kv.fingerprint,
        "names": stored.names,
    }
    write_safetensors(tensors, path, {_KEY: json.dumps(description)})


def load_references(path: Path) -> StoredReferences:
    """Read a file that `save_references` wrote. The file is closed afterwards, so that it can be replaced at any time.

    This function cannot check that the keys and values belong to a model. The U-Net does so when it uses them: it
    compares the fingerprint (`ReferenceKV.require_fit`), and the names and shapes of the layers
    (`ReferenceKV.require_layers`). That its weights really made these values cannot be checked without encoding the
    photos again.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind. Or keys, values, latents or thumbnails have
            unexpected shapes or values that are not finite.
    """
    file = read_tensors(path, copy=True)
    description = _description_of(file)
    layers: dict[str, KeyValue] = {}
    for name in (n.removesuffix(".k") for n in file.tensors if n.endswith(".k")):
        if f"{name}.v" not in file.tensors:
            raise _unusable_error(path, f"{name} has keys but no values")
        layers[name] = KeyValue(file.tensors[f"{name}.k"], file.tensors[f"{name}.v"])
    try:
        references = ReferenceKV(layers, description.count, description.latent_size, description.fingerprint)
        thumbnails, latents = file.tensors.get(_THUMBNAILS), file.tensors.get(_LATENTS)
        return StoredReferences(references, description.names, thumbnails, latents)
    except ReferencesError as error:
        raise _unusable_error(path, error.problem.rstrip(".")) from error


@dataclass(frozen=True)
class ReferencesSummary:
    """The part of a reference file that a list of saved people shows.

    Attributes:
        count: Number of references.
        fingerprint: Fingerprint of the model that made them.
        thumbnails: (references, 3, height, width) uint8, or None where none are stored.
    """

    count: int
    fingerprint: str
    thumbnails: Tensor | None


def summarize_references(path: Path) -> ReferencesSummary:
    """Read only the description and the thumbnails of a reference file.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind. Or the thumbnails have an unexpected shape.
    """
    file = read_tensors(path, copy=True, only={_THUMBNAILS})
    description = _description_of(file)
    return ReferencesSummary(description.count, description.fingerprint, file.tensors.get(_THUMBNAILS))


def _description_of(file: TensorFile) -> _Description:
    """Read the description of a file, and check the file's tensors against it.

    Raises:
        CheckpointError: The metadata lacks an entry, or does not fit the tensors.
    """
    entries = _read_metadata(file)
    try:
        description = _Description.from_metadata(entries)
        description.check(file.tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable_error(file.path, f"its metadata lacks {str(error)[:80]}") from error
    except (ReferencesError, OutOfRangeError) as error:
        raise _unusable_error(file.path, error.problem.rstrip(".")) from error
    return description


@dataclass(frozen=True)
class _Description:
    """The description of the references in a file's metadata."""

    count: int
    latent_size: tuple[int, int]
    fingerprint: str
    names: tuple[str, ...]

    @classmethod
    def from_metadata(cls, entries: Mapping[str, Any]) -> _Description:
        height, width = (int(_SIDE.number("latent_size", side)) for side in entries["latent_size"])
        fingerprint = entries["fingerprint"]
        if not isinstance(fingerprint, str) or not 1 <= len(fingerprint) <= 200:
            raise OutOfRangeError("fingerprint", shorten(fingerprint), "a text of 1 to 200 characters")
        names = tuple(name if isinstance(name, str) else str(name)[:80] for name in entries["names"])
        return cls(int(_COUNT.number("count", entries["count"])), (height, width), fingerprint, names)

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Check tensors of the file.

        Raises:
            ReferencesError: A tensor has an unexpected shape or type, or values that are not finite.
        """
        for name, tensor in tensors.items():
            shape = tuple(tensor.shape)
            if name == _THUMBNAILS:
                fits = tensor.dtype == torch.uint8 and len(shape) == 4 and shape[:2] == (self.count, 3)
                fits = fits and all(1 <= side <= _MAX_THUMBNAIL_SIDE for side in shape[2:])
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


def _read_metadata(file: TensorFile) -> dict[str, Any]:
    try:
        entries = cast(dict[str, Any], json.loads(file.metadata[_KEY]))
        version = int(_COUNT.number("version", entries["version"]))
    except (KeyError, ValueError, TypeError, RecursionError, OutOfRangeError) as error:
        raise _unusable_error(file.path, "its metadata does not describe any") from error
    if version != _VERSION:
        raise _unusable_error(file.path, f"it has format version {version}, this package reads {_VERSION}")
    return entries


def _unusable_error(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds no references that can be used: {reason}.",
        expected="a file that save_references (or the node Save References) wrote",
        remedy="encode the references again from the photos",
    )
