"""The REFERENCES socket type, and helpers with which nodes describe themselves."""
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
"""A tuple of `ReferenceSet`: one for all pictures of a batch, or one for each picture (None for a stranger)."""


class ReferenceSet:
    """One person: the keys and values (CacheKV) of their photos, and latents from which these can be built again.

    Attributes:
        kv: Keys and values, usually on the CPU. Their fingerprint names the weights that made them, LoRA included.
        latents: (references, c, h, w) float32 on the CPU, scaled for the U-Net; None if the file has none.
        thumbnails: (references, 3, height, width) uint8, or None.
        names: One name for each reference, or empty.
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
        """Return the keys and values for the weights in use. If only a LoRA differs, they are built again.

        Args:
            fingerprint: Fingerprint of the weights in use, as `host.fingerprint_of` returns it.
            build: Computes keys and values from latents with the weights in use.

        Raises:
            ReferencesError: the references were made with another model, or have no latents to build them again.
        """
        if self.kv.fingerprint == fingerprint:
            return self.kv
        if self.latents is None or _without_patches(self.kv.fingerprint) != _without_patches(fingerprint):
            self.kv.require_fit(fingerprint, self.kv.latent_size)  # raises
            raise AssertionError("unreachable: the fingerprints differ")
        if self._rebuilt is None or self._rebuilt.fingerprint != fingerprint:
            self._rebuilt = build(self.latents)
        return self._rebuilt


def patched_fingerprint(fingerprint: str, patches: str) -> str:
    """Return the fingerprint of a model's weights with patches (LoRA, merges) on them."""
    return f"{fingerprint}+{patches}" if patches else fingerprint


def _without_patches(fingerprint: str) -> str:
    return fingerprint.partition("+")[0]


def where_supported(**fields: Any) -> dict[str, Any]:
    """Return the fields of a node's schema that this host supports.

    Each node calls `io.Schema` itself with its id as a literal, since static scanners, such as that of
    ComfyUI-Manager, find nodes by this.
    """
    return {name: value for name, value in fields.items() if name in io.Schema.__dataclass_fields__}


ADVANCED: dict[str, Any] = {"advanced": True} if "advanced" in inspect.signature(io.Int.Input).parameters else {}
"""Arguments for an input that few people need. The host shows it on demand, if it can."""


def input_under_earlier_name(name: str, options: Sequence[str], new_name: str) -> io.Input:
    """Return an input under the name that it had in an earlier version. Pages do not show it.

    Its value is "" in a workflow that does not use the earlier name.

    Args:
        name: Earlier name of the input.
        options: Values of the input.
        new_name: Present name of the input.
    """
    earlier_input = io.Combo.Input(
        name,
        options=["", *options],
        default="",
        optional=True,
        socketless=True,
        tooltip=f"Use {new_name} instead. This is its earlier name.",
    )
    earlier_input.extra_dict = {"hidden": True}  # ComfyUI 0.3.64 has no argument for it
    return earlier_input


def growing_inputs(name: str, sockets: Sequence[str], kind: Any, tooltip: str) -> list[io.Input]:
    """Return optional sockets that appear as they are needed. A host that cannot do this gets the first few of them.

    Args:
        name: Name of the group of sockets.
        sockets: Names of all sockets.
        kind: Type of their values.
        tooltip: Tooltip of each socket.
    """
    if not hasattr(io, "Autogrow"):
        return [kind.Input(socket, optional=True, tooltip=tooltip) for socket in sockets[:_FIXED_SOCKETS]]
    template = io.Autogrow.TemplateNames(kind.Input("socket", optional=True, tooltip=tooltip), list(sockets), min=0)
    return [io.Autogrow.Input(name, template, optional=True, tooltip=tooltip)]


def grown_values(name: str, sockets: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
    """Return the connected values of `growing_inputs`, in the order of the sockets.

    A workflow of an earlier version, or of a host with the other kind of sockets, has the values under the names of the
    sockets or under those of the group. The host passes on every connected input, even one that it does not know.

    Args:
        name, sockets: As in `growing_inputs`.
        inputs: All other arguments of the node.
    """
    grown: Mapping[str, Any] = inputs.get(name) or {}
    by_socket = [(grown.get(socket), inputs.get(socket), inputs.get(f"{name}.{socket}")) for socket in sockets]
    return [value for values in by_socket for value in values if value is not None]


_FIXED_SOCKETS = 5
