"""Compilation of the U-Net: torch.compile fuses its small operations. The numbers are the same up to rounding."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..out_of_memory import is_out_of_memory
from .unet import UNet


def compile_unet(
    unet: UNet,
    *,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    on_failure: Callable[[str], None] = warnings.warn,
) -> None:
    """Compile `UNet.forward` in place. `encode_references` and copies of the network remain uncompiled.

    The first call compiles, which takes a minute or more. A call with another number of images or of references
    compiles once more. Beyond torch's limit (`torch._dynamo.config.recompile_limit`) further calls run uncompiled.

    If compilation fails, for example because there is no C++ compiler (CPU) or no Triton (GPU), this call and all later
    ones run uncompiled, with the same result.

    Args:
        unet: The U-Net, on its device and in its type.
        backend, mode: See `torch.compile`.
        on_failure: Called once, with the reason, if compilation fails.
    """
    module: Any = unet  # torch has no types for the attributes below
    uncompiled = unet.forward

    def give_up(error: Exception) -> None:
        module._compiled_call_impl = None
        reason = getattr(error, "inner_exception", error)  # the compiler's own error
        first_line = str(reason).strip().partition("\n")[0]
        on_failure(f"The model could not be compiled, and runs uncompiled: {type(reason).__name__}: {first_line}")

    try:
        module.compile(backend=backend, mode=mode)
    except RuntimeError as error:  # torch cannot compile on this system or Python at all
        give_up(error)
        return
    # `unet(...)` runs this attribute of torch, which copies of a module do not get.
    compiled = module._compiled_call_impl

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except Exception as error:
            if is_out_of_memory(error):  # uncompiled, it would take more memory
                raise
            result = uncompiled(*args, **kwargs)  # raises again if the error is not the compiler's
            give_up(error)
            return result

    module._compiled_call_impl = call


def is_compiled(unet: UNet) -> bool:
    """Whether calls run compiled. Before the first call it is not known yet whether compilation works."""
    module: Any = unet
    return module._compiled_call_impl is not None
