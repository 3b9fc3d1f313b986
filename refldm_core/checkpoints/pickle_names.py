"""The names and types that a pickled checkpoint may hold."""

from __future__ import annotations

import torch

ALLOWED_NAMES = {
    "collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device", "builtins.set", "builtins.complex",
    "_codecs.encode", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
}  # fmt: skip
_UNUSUAL = {
    "builtins.bytearray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.serialization._get_layout",
    "torch._tensor._rebuild_from_type_v2",
}  # fmt: skip
"""What torch accepts, and no checkpoint of weights needs; its tensor classes and other kinds of tensors besides."""

USUAL_TYPES = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
"""Types that weights, tables and pictures have."""

ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
}  # fmt: skip
"""Storage class -> bytes of one number."""


def is_type(name: str) -> bool:
    module, _, own = name.rpartition(".")
    return module in ("torch", "torch.storage") and (
        own.endswith("Storage") or isinstance(getattr(torch, own, None), torch.dtype)
    )


def is_unusual(name: str) -> bool:
    module, _, own = name.rpartition(".")
    tensor_class = module in ("torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse") and own.endswith("Tensor")
    return name in _UNUSUAL or tensor_class or name.startswith("torch._utils._rebuild_")
