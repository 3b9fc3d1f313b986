"""Writing a model as one .safetensors file that carries its spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from ..errors import CheckpointError, OutputError
from ..files import atomic_write
from ..model.variants import ModelSpec
from .building import FINGERPRINT_KEY, WEIGHTS_KEY, inspect_model, require_finite
from .hints import metadata_of
from .layout import CODEBOOK, FIRST_STAGE_PREFIX, UNET_PREFIX, Weights
from .training_data import TRAINED_ON_KEY

_CODEBOOK = FIRST_STAGE_PREFIX + CODEBOOK


@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote."""

    output: Path
    spec: ModelSpec
    weights: Weights
    fingerprint: str
    bytes: int


def convert(
    path: Path,
    output: Path,
    first_stage_path: Path | None = None,
    config: Path | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    weights: Weights = "ema",
    trained_on: str = "",
) -> Conversion:
    """Write U-Net and first stage into one .safetensors file with the spec in its metadata.

    The codebook stays float32, since rounding it would let another entry be the nearest.

    Args:
        path, first_stage_path, config: as for `load_model`.
        output: file to write; it replaces an older one only when it is whole.
        dtype: of the weights in the file.
        weights: which copy of the U-Net to write.
        trained_on: the only kind of pictures that the model knows, for `caution`; "" for what the source says.

    Raises:
        CheckpointError: a source that cannot be used, or values that `dtype` cannot hold.
        OutputError: `output` cannot be written.
    """
    # Windows does not replace a memory-mapped file, so a source that is the output too is copied out of its mapping.
    replaced = any(_is_same_file(output, source) for source in (path, first_stage_path) if source)
    new = _converted(path, first_stage_path, config, dtype, weights, trained_on=trained_on, copy=replaced)
    write_safetensors(new.tensors, output, new.metadata)
    return Conversion(output, new.spec, new.weights, new.metadata[FINGERPRINT_KEY], output.stat().st_size)


@dataclass(frozen=True)
class _Converted:
    """The content of a converted file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    spec: ModelSpec
    weights: Weights


def _converted(
    path: Path,
    first_stage_path: Path | None,
    config: Path | None,
    dtype: torch.dtype,
    weights: Weights,
    *,
    trained_on: str,
    copy: bool,
) -> _Converted:
    """Arguments and errors as for `convert`; with `copy` nothing of the files stays mapped after the call."""
    files = inspect_model(path, first_stage_path, config)
    used, unet = files.main.unet_weights(weights)
    tensors = {UNET_PREFIX + name: tensor for name, tensor in unet.items()}
    tensors |= {FIRST_STAGE_PREFIX + name: tensor for name, tensor in files.first_stage.parts.first_stage.items()}
    require_finite(tensors, path)
    cast = {
        name: _cast(name, tensor, torch.float32 if name == _CODEBOOK else dtype, copy=copy)
        for name, tensor in tensors.items()
    }
    metadata = {**metadata_of(files.spec), FINGERPRINT_KEY: files.main.fingerprint(unet), WEIGHTS_KEY: used}
    trained_on = trained_on or files.main.file.metadata.get(TRAINED_ON_KEY, "")
    return _Converted(cast, metadata | ({TRAINED_ON_KEY: trained_on} if trained_on else {}), files.spec, used)


def _is_same_file(output: Path, source: Path) -> bool:
    return output.exists() and source.exists() and output.samefile(source)


def write_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors and text atomically.

    Raises:
        OutputError: no folder, no permission or no room; `path` is then as before.
    """
    with atomic_write(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata)
            temporary.chmod(mode)  # the library writes a file that only its owner can read
        except SafetensorError as error:  # the library hides the operating system's error in its text
            raise OutputError(
                f"{path} cannot be written ({error}). Nothing was left half-written.",
                expected="a folder that you may write to, with room for the file",
                remedy="free some space, or choose another --output",
            ) from error


def save_pickled(content: Mapping[str, object], path: Path) -> None:
    """Write what `torch.load` reads with weights_only, atomically.

    Raises:
        OutputError: no folder, no permission or no room; `path` is then as before.
    """
    with atomic_write(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer hides the operating system's error
            raise OutputError(
                f"{path} cannot be written ({str(error).splitlines()[0]}). The one before is kept.",
                expected="a folder that you may write to, with room for the file",
                remedy="free some space and run the command again, or choose another --output",
            ) from error


def _cast(name: str, tensor: Tensor, dtype: torch.dtype, *, copy: bool) -> Tensor:
    cast = tensor.to(dtype, copy=copy).contiguous()
    if not cast.isfinite().all():
        raise CheckpointError(
            f"The tensor {name} has values that {dtype} cannot hold.",
            expected=f"values within {torch.finfo(dtype).min:.3g}..{torch.finfo(dtype).max:.3g}",
            remedy="convert to bfloat16 or float32",
        )
    return cast
