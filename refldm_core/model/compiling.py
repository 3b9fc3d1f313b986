"""The U-Net compiled: torch.compile fuses its small operations, for the same numbers up to rounding."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from .unet import UNet


def compile_unet(
    unet: UNet,
    *,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    on_failure: Callable[[str], None] = warnings.warn,
) -> None:
    """Compile a U-Net in place; `encode_references` stays as it is, and so do copies of the network.

    The work is done in the first call, and takes a minute or more. Another number of images or of references in a call
    is compiled once more; past torch's limit (`torch._dynamo.config.recompile_limit`) yet others run uncompiled.

    Where compiling fails, for instance since there is no C++ compiler (CPU) or no Triton (GPU), that call and all later
    ones run uncompiled, and nothing is lost.

    Args:
        unet: on its device and in its type.
        backend, mode: as for `torch.compile`.
        on_failure: called once, with what went wrong, where compiling fails.
    """
    module: Any = unet  # torch has no types for what follows
    uncompiled = unet.forward

    def give_up(error: Exception) -> None:
        module._compiled_call_impl = None
        reason = getattr(error, "inner_exception", error)  # what the compiler said, not that it said something
        first_line = str(reason).strip().partition("\n")[0]
        on_failure(f"The model could not be compiled, and runs uncompiled: {type(reason).__name__}: {first_line}")

    try:
        module.compile(backend=backend, mode=mode)
    except RuntimeError as error:  # torch cannot compile on this system or Python at all
        give_up(error)
        return
    # What `unet(...)` runs, by torch's own attribute, which it leaves out of copies.
    compiled = module._compiled_call_impl

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except Exception as error:
            result = uncompiled(*args, **kwargs)  # raises again where it was not the compiler's fault
            give_up(error)
            return result

    module._compiled_call_impl = call


def is_compiled(unet: UNet) -> bool:
    """Whether calls run compiled, as far as is known before the first one."""
    module: Any = unet
    return module._compiled_call_impl is not None
