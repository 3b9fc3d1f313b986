"""`ReferenceKV`: the keys and values of a set of reference faces, called CacheKV in the paper (section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from ..diffusion.settings import MOST_STRENGTH
from ..errors import ReferencesError
from .attention import KeyValue


@dataclass(frozen=True)
class ReferenceKV:
    """Keys and values of every attention layer for one ordered set of references, as an immutable value.

    Attributes:
        layers: Layer name -> `KeyValue` of shape (heads, count * tokens, head channels). The tokens of the first
            reference come first.
        count: Number of references, at least 1. A reference that counts several times (`repeat`) is counted as often.
        latent_size: (height, width) of the latents of the references. The U-Net accepts pictures of this size only,
            since its convolutions have learned positions at one size.
        fingerprint: Name of the U-Net's weights (`refldm_core.model.fingerprint`). The keys and values of one model
            mean nothing to another.
        is_whole: False if tokens were left out, see `with_half_the_tokens`.

    Raises:
        ReferencesError: There is no reference or no layer, or a shape does not fit the number of references.
    """

    layers: Mapping[str, KeyValue]
    count: int
    latent_size: tuple[int, int]
    fingerprint: str
    is_whole: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))
        if self.count < 1 or not self.layers:
            raise ReferencesError(
                "A reference set is empty.",
                expected="at least one reference and one attention layer",
                remedy="pass None where there are no references",
            )
        misshapen = [
            name
            for name, kv in self.layers.items()
            if kv.k.ndim != 3 or kv.k.shape != kv.v.shape or kv.tokens * kv.copies % self.count
        ]
        if misshapen:
            raise ReferencesError(
                f"The keys and values of layer {misshapen[0]} do not fit {self.count} references.",
                expected="k and v of one shape, (heads, references * tokens, head channels)",
                remedy="build the references again",
            )

    @property
    def tensors(self) -> list[Tensor]:
        """Keys and values of all layers."""
        return [tensor for kv in self.layers.values() for tensor in (kv.k, kv.v)]

    @property
    def nbytes(self) -> int:
        """Memory of the keys and values, in bytes."""
        return sum(t.numel() * t.element_size() for t in self.tensors)

    @property
    def strength(self) -> float:
        """Weight of each key against a key of the image itself; see `with_strength`."""
        return next(iter(self.layers.values())).weight

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.layers.values())).k.dtype

    @property
    def device(self) -> torch.device:
        return next(iter(self.layers.values())).k.device

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ReferenceKV:
        """Return a copy on a device and in a floating-point type, or the same object if nothing changes."""
        device = self.device if device is None else torch.device(device)
        dtype = dtype or self.dtype
        if (device, dtype) == (self.device, self.dtype):
            return self
        moved = {n: replace(kv, k=kv.k.to(device, dtype), v=kv.v.to(device, dtype)) for n, kv in self.layers.items()}
        return replace(self, layers=moved)

    def repeat(self, times: int) -> ReferenceKV:
        """Return the references `times` times in a row. The result equals that of `concat`, at the cost of one set.

        Raises:
            ReferencesError: `times` is below 1.
        """
        if times < 1:
            raise ReferencesError(
                f"References cannot be repeated {times} times.",
                expected="1 or more",
                remedy="pass None where there are no references",
            )
        layers = {name: replace(kv, copies=kv.copies * times) for name, kv in self.layers.items()}
        return replace(self, layers=layers, count=self.count * times)

    def with_strength(self, strength: float) -> ReferenceKV | None:
        """Return the references with keys that count `strength` times as much: log(strength) is added to their logits.

        Args:
            strength: 1 changes nothing. 2 equals every reference given twice. 0 is no references.

        Returns:
            References that share the keys and values in memory; None for 0.

        Raises:
            ReferencesError: The strength is outside 0..`MOST_STRENGTH`.
        """
        if not math.isfinite(strength) or not 0.0 <= strength <= MOST_STRENGTH:
            raise ReferencesError(
                f"References cannot have the strength {strength:g}.",
                expected=f"a number from 0 to {MOST_STRENGTH:g}",
                remedy="use 1, the published strength, or 0 to restore without references",
            )
        if strength == 0.0:
            return None
        if strength == 1.0:
            return self
        layers = {name: replace(kv, weight=kv.weight * strength) for name, kv in self.layers.items()}
        return replace(self, layers=layers)

    def with_half_the_tokens(self) -> ReferenceKV:
        """Return the references with every other token at the finest attention level, as the fields of a checkerboard.

        Nearly all of the cost of references arises at this level. Each kept key also stands for a neighbor, so it
        counts twice: log(2) is added to its logit. This is not exact. docs/speed.md shows what it costs in likeness.

        Returns:
            References for the U-Net. Their order is lost, so that they can no longer be selected, joined or saved.
        """
        most = max(kv.tokens * kv.copies for kv in self.layers.values())
        height, width = (
            side // math.isqrt(math.prod(self.latent_size) * self.count // most) for side in self.latent_size
        )

        def half_of(t: Tensor) -> Tensor:
            # By slices, because a list of indices would be copied to the device for every tensor.
            heads, _, channels = t.shape
            grid = t.reshape(heads, -1, height // 2, 2, width // 2, 2, channels)
            return torch.stack([grid[:, :, :, 0, :, 0], grid[:, :, :, 1, :, 1]], dim=3).flatten(1, 4)

        layers = {
            name: replace(kv, k=half_of(kv.k), v=half_of(kv.v), copies=2 * kv.copies)
            if kv.tokens * kv.copies == most and height % 2 == width % 2 == 0
            else kv
            for name, kv in self.layers.items()
        }
        return replace(self, layers=layers, is_whole=False)

    def written_out(self) -> ReferenceKV:
        """Return equal references with every copy stored, for files and for access to single references.

        Raises:
            ReferencesError: The references have half of the tokens, whose order is lost.
        """
        if not self.is_whole:
            raise ReferencesError(
                "References with half of the tokens can neither be selected nor joined nor saved.",
                expected="references as they were encoded",
                remedy="do this first, then leave out tokens",
            )
        return replace(self, layers={name: kv.written_out() for name, kv in self.layers.items()})

    def select(self, *indices: int) -> ReferenceKV:
        """Return the references at `indices`, in that order. An index may occur several times.

        Raises:
            ReferencesError: There is no index, or one outside 0..count-1.
        """
        outside = [i for i in indices if not 0 <= i < self.count]
        if outside or not indices:
            raise ReferencesError(
                f"No reference has the number {outside[0]}." if outside else "No reference was selected.",
                expected=f"numbers from 0 to {self.count - 1}",
                remedy="choose among the references in the set",
            )

        def pick(t: Tensor) -> Tensor:
            # Slices, because a list of indices would be copied to the device for every tensor.
            slices = t.chunk(self.count, dim=1)
            return torch.cat([slices[i] for i in indices], dim=1)

        return replace(
            self,
            layers={n: replace(kv, k=pick(kv.k), v=pick(kv.v)) for n, kv in self.written_out().layers.items()},
            count=len(indices),
        )

    @staticmethod
    def concat(sets: Sequence[ReferenceKV]) -> ReferenceKV:
        """Return the references of several sets, in order.

        Raises:
            ReferencesError: There is no set, or the sets differ in model, latent size, type, device or strength.
        """
        if not sets:
            raise ReferencesError("No reference sets to join.", expected="at least one", remedy="pass one or more")
        first = sets[0]
        for kv in sets[1:]:
            first.require_fit(kv.fingerprint, kv.latent_size)
            if (kv.dtype, kv.device) != (first.dtype, first.device):
                raise ReferencesError(
                    f"Reference sets of {first.dtype} on {first.device} and {kv.dtype} on {kv.device} "
                    "cannot be joined.",
                    expected="one type and device",
                    remedy="bring them together with ReferenceKV.to() first",
                )
            if kv.strength != first.strength:
                raise ReferencesError(
                    f"Reference sets of the strengths {first.strength:g} and {kv.strength:g} cannot be joined.",
                    expected="one strength",
                    remedy="join them first, then give them a strength",
                )
        all_layers = [s.written_out().layers for s in sets]
        layers = {
            name: replace(
                kv,
                k=torch.cat([layers[name].k for layers in all_layers], dim=1),
                v=torch.cat([layers[name].v for layers in all_layers], dim=1),
            )
            for name, kv in all_layers[0].items()
        }
        return replace(first, layers=layers, count=sum(s.count for s in sets))

    def require_fit(self, fingerprint: str, latent_size: tuple[int, int]) -> None:
        """Check that the references fit a model and a latent size.

        Raises:
            ReferencesError: They do not. The message names both sides.
        """
        if self.fingerprint != fingerprint:
            raise ReferencesError(
                f"These references were built with model {self.fingerprint}, not with model {fingerprint}.",
                expected="references and restoration with the same model weights",
                remedy="build the references again from the photos with the model in use",
            )
        if self.latent_size != latent_size:
            raise ReferencesError(
                f"These references were built at a latent size of {_size(self.latent_size)}, "
                f"the picture has {_size(latent_size)}.",
                expected="one size for references and pictures",
                remedy="resize the pictures to the size that the model was trained for",
            )

    def require_layers(self, shapes: Mapping[str, tuple[int, int, int]]) -> None:
        """Check that the keys and values have the layers and shapes of a model.

        A file's fingerprint may be false. Without a new encoding of the references, only the shapes can be verified.

        Args:
            shapes: Layer name -> (heads, tokens of one reference, head channels).

        Raises:
            ReferencesError: A layer is missing, superfluous or of another shape. The message names the first one.
        """
        for name in [*shapes, *self.layers]:
            expected, kv = shapes.get(name), self.layers.get(name)
            shape = None if kv is None else (kv.k.shape[0], kv.tokens * kv.copies // self.count, kv.k.shape[2])
            if shape != expected:
                raise ReferencesError(
                    f"These references do not fit the model: the layer {name} "
                    + ("is missing." if shape is None else f"has the shape {shape} for each reference."),
                    expected="no such layer" if expected is None else f"(heads, tokens, head channels) {expected}",
                    remedy="build the references again from the photos with the model in use",
                )


def _size(latent: tuple[int, int]) -> str:
    return f"{latent[0]}x{latent[1]}"
