"""The names and types that a pickled checkpoint may hold."""

from __future__ import annotations

import torch

_ALLOWED = {
    "collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device", "builtins.set", "builtins.complex",
    "_codecs.encode", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
}  # fmt: skip
_UNUSUAL = {
    "builtins.bytearray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.serialization._get_layout",
    "torch._tensor._rebuild_from_type_v2",
}  # fmt: skip
"""Names that torch accepts although no checkpoint of weights needs them. `is_unusual` adds families of such names."""

USUAL_TYPES = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
"""The types of weights, tables and pictures."""

ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
}  # fmt: skip
"""Storage class -> bytes of one number."""


def is_allowed(name: str) -> bool:
    """Whether checkpoints need a name: a function or class of `_ALLOWED`, a storage class or a type of numbers."""
    module, _, attribute = name.rpartition(".")
    is_type = module in ("torch", "torch.storage") and (
        attribute.endswith("Storage") or isinstance(getattr(torch, attribute, None), torch.dtype)
    )
    return name in _ALLOWED or is_type


def is_unusual(name: str) -> bool:
    """Whether torch accepts a name that this package refuses, such as a tensor class or a sparse tensor."""
    module, _, attribute = name.rpartition(".")
    tensor_modules = ("torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse")
    is_tensor_class = module in tensor_modules and attribute.endswith("Tensor")
    return name in _UNUSUAL or is_tensor_class or name.startswith("torch._utils._rebuild_")
