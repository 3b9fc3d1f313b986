"""Convert a model to one .safetensors file with its spec, and write tensors to files."""

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
    """The file that `convert` wrote.

    Attributes:
        output: Path of the file.
        spec: Spec of the model.
        weights: The copy of the U-Net's weights in the file.
        fingerprint: Fingerprint of the original weights.
        bytes: Size of the file.
    """

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
    """Write U-Net and first stage to one .safetensors file with the spec in its metadata.

    The codebook stays float32: after rounding, another entry could be the nearest.

    Args:
        path, first_stage_path, config: As for `load_model`.
        output: Path of the file to write. An existing file is replaced only when the new one is complete.
        dtype: Type of the weights in the file.
        weights: The copy of the U-Net's weights to write.
        trained_on: The only kind of pictures that the model knows, for `caution`. "" keeps the text of the source.

    Raises:
        CheckpointError: A source cannot be used, or `dtype` cannot hold a value.
        OutputError: `output` cannot be written.
    """
    # Windows cannot replace a memory-mapped file. If the output is one of the sources, its tensors are copied first.
    replaces_source = any(_is_same_file(output, source) for source in (path, first_stage_path) if source)
    content = _convert_content(
        path, first_stage_path, config, dtype, weights, trained_on=trained_on, copy=replaces_source
    )
    write_safetensors(content.tensors, output, content.metadata)
    size = output.stat().st_size
    return Conversion(output, content.spec, content.weights, content.metadata[FINGERPRINT_KEY], size)


@dataclass(frozen=True)
class _ConvertedContent:
    """The content of a converted file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    spec: ModelSpec
    weights: Weights


def _convert_content(
    path: Path,
    first_stage_path: Path | None,
    config: Path | None,
    dtype: torch.dtype,
    weights: Weights,
    *,
    trained_on: str,
    copy: bool,
) -> _ConvertedContent:
    """Return the content to write. Arguments and errors are as for `convert`.

    Args:
        copy: Whether to copy every tensor, so that no source stays memory-mapped after the call.
    """
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
    return _ConvertedContent(cast, metadata | ({TRAINED_ON_KEY: trained_on} if trained_on else {}), files.spec, used)


def _is_same_file(output: Path, source: Path) -> bool:
    return output.exists() and source.exists() and output.samefile(source)


def write_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a .safetensors file atomically.

    Raises:
        OutputError: There is no folder, no permission or no space. `path` is unchanged.
    """
    with atomic_write(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata)
            temporary.chmod(mode)  # save_file writes a file that only its owner can read
        except SafetensorError as error:  # its text has the operating system's error
            raise OutputError(
                f"{path} cannot be written ({error}). Nothing was left half-written.",
                expected="a folder that you may write to, with space for the file",
                remedy="free some space, or choose another --output",
            ) from error


def save_pickled(content: Mapping[str, object], path: Path) -> None:
    """Write a file for `torch.load` atomically.

    Args:
        content: Tensors and plain values, which `torch.load` reads with weights_only.
        path: Path of the file.

    Raises:
        OutputError: There is no folder, no permission or no space. `path` is unchanged.
    """
    with atomic_write(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer hides the operating system's error
            raise OutputError(
                f"{path} cannot be written ({str(error).splitlines()[0]}). An existing file was kept.",
                expected="a folder that you may write to, with space for the file",
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
