"""A short name for a set of weights, so that keys and values are never used with another model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

_SAMPLES = 4096  # a tensor's values that are hashed; the whole of a released U-Net would take a second


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Hash of names, shapes and evenly spaced values; 16 hexadecimal digits.

    The same values in another floating-point type give another fingerprint, so a converted file carries the
    fingerprint of what it was made from.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().flatten()[:: max(1, tensor.numel() // _SAMPLES)]
        digest.update(values.to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
