"""Fingerprints of a MODEL's weights, patches (LoRA, merges) included."""
# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...refldm_core.model.fingerprint import fingerprint
from ..types import patched_fingerprint


def fingerprint_of(model: Any) -> str:
    """Return a name for the weights of a MODEL with its patches. It is the same in every session."""
    if not model.patches:
        return model.model.diffusion_model.fingerprint
    digest = hashlib.sha256()
    for key in sorted(model.patches, key=str):
        digest.update(f"{key}\n".encode())
        _digest(model.patches[key], digest.update)
    return patched_fingerprint(model.model.diffusion_model.fingerprint, digest.hexdigest()[:16])


def _digest(value: Any, update: Callable[[bytes], None]) -> None:
    if isinstance(value, Tensor):
        update(fingerprint({"": value}).encode())
    elif isinstance(value, (list, tuple)):
        update(f"{len(value)}[".encode())
        for part in value:
            _digest(part, update)
    elif hasattr(value, "weights"):  # the host's adapters, such as LoRA, LoHa and LoKr
        update(type(value).__name__.encode())
        _digest(value.weights, update)
    else:
        update(getattr(value, "__qualname__", repr(value)).encode())
