"""What the sockets of this pack carry, and how its nodes describe themselves."""
# pyright: reportMissingImports=false

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.model.reference import ReferenceKV

CATEGORY = "ReF-LDM"

References = io.Custom("REFLDM_REFERENCES")
"""A tuple of `ReferenceSet`: one for every picture of a batch, or one for each (None for a stranger)."""


class ReferenceSet:
    """One person: the keys and values of their photos, and what they can be built again from.

    Attributes:
        kv: keys and values, off the accelerator; their fingerprint names the weights that made them, LoRA included.
        latents: (references, c, h, w) float32 on the CPU as the U-Net takes them, or None where a file lacks them.
        thumbnails: (references, 3, height, width) uint8, or None.
        names: what each reference is called, empty or one for each.
    """

    def __init__(
        self,
        kv: ReferenceKV,
        latents: Tensor | None = None,
        thumbnails: Tensor | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self.kv = kv
        self.latents = latents
        self.thumbnails = thumbnails
        self.names = names
        self._rebuilt: ReferenceKV | None = None

    def for_weights(self, fingerprint: str, build: Callable[[Tensor], ReferenceKV]) -> ReferenceKV:
        """Keys and values made by the weights of that fingerprint, built again where only a LoRA differs.

        Args:
            fingerprint: of the weights in use, as `host.fingerprint_of` gives it.
            build: makes keys and values from latents with the weights in use.

        Raises:
            ReferencesError: another model's references.
        """
        if self.kv.fingerprint == fingerprint:
            return self.kv
        if self.latents is None or _without_patches(self.kv.fingerprint) != _without_patches(fingerprint):
            self.kv.require_fit(fingerprint, self.kv.latent_size)  # raises
            raise AssertionError("unreachable: the fingerprints differ")
        if self._rebuilt is None or self._rebuilt.fingerprint != fingerprint:
            self._rebuilt = build(self.latents)
        return self._rebuilt


def patched(fingerprint: str, patches: str) -> str:
    """The fingerprint of a model's weights with patches (LoRA, merges) on them."""
    return f"{fingerprint}+{patches}" if patches else fingerprint


def _without_patches(fingerprint: str) -> str:
    return fingerprint.partition("+")[0]


def where_supported(**fields: Any) -> dict[str, Any]:
    """Those fields of a node's description that this host knows.

    Descriptions call `io.Schema` themselves, with the node's id as a literal: static scanners, such as that of
    ComfyUI-Manager, find nodes by this.
    """
    return {name: value for name, value in fields.items() if name in io.Schema.__dataclass_fields__}


ADVANCED: dict[str, Any] = {"advanced": True} if "advanced" in inspect.signature(io.Int.Input).parameters else {}
"""Arguments of an input that few people need: shown on demand, where the host can."""


def earlier_name(name: str, options: Sequence[str], new_name: str) -> io.Input:
    """An input under its name of an earlier version, which pages do not show; "" where nothing was given by that name.

    Args:
        name, new_name: of the input, then and now.
        options: its values.
    """
    earlier = io.Combo.Input(
        name,
        options=["", *options],
        default="",
        optional=True,
        socketless=True,
        tooltip=f"Use {new_name} instead; this is its earlier name.",
    )
    earlier.extra_dict = {"hidden": True}  # not an argument of this kind of input in 0.3.64
    return earlier


def growing_inputs(name: str, sockets: Sequence[str], kind: Any, tooltip: str) -> list[io.Input]:
    """Optional sockets that appear as they are needed, where the host can; else the first few of them.

    Args:
        name: of the group.
        sockets: names of all of them.
        kind: of their values.
        tooltip: of each.
    """
    if not hasattr(io, "Autogrow"):
        return [kind.Input(socket, optional=True, tooltip=tooltip) for socket in sockets[:_FIXED_SOCKETS]]
    template = io.Autogrow.TemplateNames(kind.Input("socket", optional=True, tooltip=tooltip), list(sockets), min=0)
    return [io.Autogrow.Input(name, template, optional=True, tooltip=tooltip)]


def grown_values(name: str, sockets: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
    """The connected values of `growing_inputs`, in the order of the sockets.

    A workflow from before sockets grew, or from a host with the other kind, has them under their own names, or under
    those of the group: the host passes every connected input on, known or not.

    Args:
        name, sockets: as there.
        inputs: all other arguments of the node.
    """
    grown: Mapping[str, Any] = inputs.get(name) or {}
    by_socket = [(grown.get(socket), inputs.get(socket), inputs.get(f"{name}.{socket}")) for socket in sockets]
    return [value for values in by_socket for value in values if value is not None]


_FIXED_SOCKETS = 5
