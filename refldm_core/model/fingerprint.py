"""A short name for a set of weights, which keeps keys and values from being used with another model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

_SAMPLES = 4096  # hashed values of a tensor. Hashing every value of the released U-Net would take a second.


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Return a hash of the names, the shapes and evenly spaced values: 16 hexadecimal digits.

    Equal weights in another floating-point type have another fingerprint. So a converted file stores the fingerprint of
    its original.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().flatten()[:: max(1, tensor.numel() // _SAMPLES)]
        digest.update(values.to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
