"""Load model files as networks: recognize the architecture, compare every tensor with it, and load strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..model.fingerprint import fingerprint
from ..model.unet import UNet, UNetSpec
from ..model.variants import ModelSpec
from ..model.vqgan import FirstStage, FirstStageSpec
from .detection import DetectedSpec, detect_first_stage, detect_unet
from .hints import Hints, build_spec, gather_hints
from .layout import CODEBOOK, Parts, Weights, sort_tensors
from .reading import TensorFile, read_tensors
from .scale import require_scaled_conditions

FINGERPRINT_KEY = "refldm.fingerprint"
WEIGHTS_KEY = "refldm.weights"


@dataclass(frozen=True)
class Inspected:
    """A model file that was read and recognized. No network was built from it yet.

    Attributes:
        file: The content of the file.
        parts: Its tensors, sorted by part of the model.
        hints: The values that shapes cannot tell.
        unet, first_stage: The detected specs. None where the file has no such part.
    """

    file: TensorFile
    parts: Parts
    hints: Hints
    unet: DetectedSpec[UNetSpec] | None
    first_stage: DetectedSpec[FirstStageSpec] | None

    @property
    def missing(self) -> list[str]:
        """Names of the parts that restoring needs and this file lacks."""
        parts = {"U-Net": self.unet, "first stage": self.first_stage}
        return [name for name, spec in parts.items() if spec is None]

    def unet_weights(self, prefer: Weights) -> tuple[Weights, Mapping[str, Tensor]]:
        """Return which copy of the U-Net's weights to use, and its tensors.

        A converted file holds one copy. Its metadata says which copy it was made from.
        """
        used, tensors = self.parts.unet_weights(prefer)
        return ("ema" if self.file.metadata.get(WEIGHTS_KEY) == "ema" else used), tensors

    def fingerprint(self, unet_weights: Mapping[str, Tensor]) -> str:
        """Return the fingerprint of the original weights, also for a file that was converted to another type."""
        return self.file.metadata.get(FINGERPRINT_KEY) or fingerprint(unet_weights)


@dataclass(frozen=True)
class LoadedModel:
    """Loaded networks in evaluation mode, and what their files say of them.

    Attributes:
        unet, first_stage: The networks.
        spec: The spec of both networks.
        weights: The copy of the U-Net's weights that was loaded, "ema" or "raw".
        metadata: The metadata of the U-Net's file.
    """

    unet: UNet
    first_stage: FirstStage
    spec: ModelSpec
    weights: Weights
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def inspect_file(path: Path, config: Path | None = None) -> Inspected:
    """Read a model file and recognize the parts that it holds.

    Raises:
        CheckpointError: The file cannot be read, is no ReF-LDM file, or has tensors that belong to no part of the
            model. Or the config contradicts the file.
    """
    file = read_tensors(path)
    parts = sort_tensors(file.tensors)
    if not parts.unet and not parts.first_stage:
        raise CheckpointError(
            f"{path} holds neither a ReF-LDM U-Net nor its first stage{_name_first(file.tensors)}.",
            expected="tensors named model.diffusion_model.*, first_stage_model.* or encoder.*, decoder.*, quantize.*",
            remedy="use refldm.ckpt, vqgan.ckpt, or a file that `refldm convert` wrote",
        )
    if parts.unknown:
        raise CheckpointError(
            f"{path} holds {len(parts.unknown)} tensors that belong to no part of ReF-LDM{_name_first(parts.unknown)}.",
            expected="only tensors of the published layout",
            remedy="check that this is a ReF-LDM file and not another model's",
        )
    hints = gather_hints(config, file.metadata, parts.buffers)
    head_channels = int(hints.values["num_head_channels"])
    unet = detect_unet(_shapes(parts.unet), head_channels, hints.reasons["num_head_channels"]) if parts.unet else None
    if unet is not None:
        _require_agreement(config, hints, unet.spec)
    first_stage = detect_first_stage(_shapes(parts.first_stage)) if parts.first_stage else None
    return Inspected(file, parts, hints, unet, first_stage)


@dataclass(frozen=True)
class ModelFiles:
    """The one or two files of a model, which were recognized and fit together.

    Attributes:
        main: The file with the U-Net.
        first_stage: The file with the first stage. It is `main` unless the user named a separate file.
        spec: The spec of the whole model.
    """

    main: Inspected
    first_stage: Inspected
    spec: ModelSpec


def inspect_model(path: Path, first_stage_path: Path | None = None, config: Path | None = None) -> ModelFiles:
    """Recognize a model in one or two files.

    Args:
        path: The file with the U-Net.
        first_stage_path: The file with the first stage. None where `path` has it.
        config: YAML of the published layout, for values that the files do not tell.

    Raises:
        CheckpointError: As for `inspect_file`. Also if a part is missing, if U-Net and first stage have latents of
            different widths, or if the scale factor does not apply to every latent.
    """
    main = inspect_file(path, config)
    first_stage_file = inspect_file(first_stage_path) if first_stage_path else main
    if main.unet is None:
        raise CheckpointError(
            f"{path} is a first stage without a U-Net.",
            expected="refldm.ckpt or a file that `refldm convert` wrote",
            remedy="pass this file as --vqgan and the U-Net's as --model",
        )
    if first_stage_file.first_stage is None:
        raise CheckpointError(
            f"{first_stage_file.file.path} has no first stage (VQGAN).",
            expected="the first stage inside the model's file, or in a file of its own",
            remedy="name vqgan.ckpt as the first stage (--vqgan on the command line); `refldm download` fetches it",
        )
    unet, first_stage, values = main.unet.spec, first_stage_file.first_stage.spec, main.hints.values
    if unet.out_channels != first_stage.embed_dim:
        raise CheckpointError(
            f"The U-Net makes latents of {unet.out_channels} channels, the first stage's have {first_stage.embed_dim}.",
            expected="a U-Net and a first stage that were trained together",
            remedy="use the first stage that the U-Net was trained on",
        )
    size, scale, noise = int(values["latent_size"]), float(values["scale_factor"]), main.hints.noise
    spec = build_spec(lambda: ModelSpec(unet, first_stage, noise, size, scale), main.hints.reasons)
    require_scaled_conditions(path, spec.scale_factor, main.hints.conditions_scaled)
    return ModelFiles(main, first_stage_file, spec)


def load_model(
    path: Path,
    first_stage_path: Path | None = None,
    config: Path | None = None,
    *,
    weights: Weights = "ema",
    dtype: torch.dtype = torch.float32,
    first_stage_dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> LoadedModel:
    """Load a model strictly: every tensor must be present, have the expected shape and be finite.

    Args:
        path, first_stage_path, config: As for `inspect_model`.
        weights: "ema" (for sampling) or "raw". "ema" falls back to "raw" where the file has no EMA copy.
        dtype: The type of the U-Net.
        first_stage_dtype: The type of the first stage. None chooses it with `first_stage_dtype_for`. The codebook
            stays float32.
        device: The device of both networks.

    Raises:
        CheckpointError: The files are unusable. The message names the file, the problem and the remedy.
    """
    files = inspect_model(path, first_stage_path, config)
    used, unet_weights = files.main.unet_weights(weights)
    with torch.device("meta"):
        unet, first_stage = UNet(files.spec.unet), FirstStage(files.spec.first_stage)
    _load(unet, unet_weights, path, device, dtype)
    first_stage_dtype = first_stage_dtype or first_stage_dtype_for(dtype)
    _load(first_stage, files.first_stage.parts.first_stage, files.first_stage.file.path, device, first_stage_dtype)
    unet.fingerprint = files.main.fingerprint(unet_weights)
    return LoadedModel(unet.eval(), first_stage.eval(), files.spec, used, files.main.file.metadata)


def first_stage_dtype_for(dtype: torch.dtype) -> torch.dtype:
    """Return the first stage's type for a U-Net of `dtype`: float32 for float16, since it may leave that range."""
    return torch.float32 if dtype == torch.float16 else dtype


def load_first_stage(
    path: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> FirstStage:
    """Load only the first stage, from its own file or from the file of a whole model.

    Raises:
        CheckpointError: As for `inspect_file`. Also if it has no first stage.
    """
    inspected = inspect_file(path)
    if inspected.first_stage is None:
        raise CheckpointError(
            f"{path} has no first stage (VQGAN).",
            expected="vqgan.ckpt, or a model that holds its first stage",
            remedy="name the file of the first stage",
        )
    with torch.device("meta"):
        first_stage = FirstStage(inspected.first_stage.spec)
    _load(first_stage, inspected.parts.first_stage, path, device, dtype)
    return first_stage.eval()


def require_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with NaN or infinite values. Without this check the user would only see a black picture.

    Raises:
        CheckpointError: A tensor has such a value. The message names the first one.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(
                f"The tensor {name} in {path} has values that are not finite (NaN or infinity).",
                expected="finite weights",
                remedy="get the file again; if you trained or converted it, use an earlier checkpoint or another type",
            )


def _load(
    network: nn.Module, weights: Mapping[str, Tensor], path: Path, device: torch.device | str, dtype: torch.dtype
) -> None:
    require_finite(weights, path)
    # The tensors may be views of a memory-mapped file. A copy lets the file be replaced or deleted.
    copies = {
        name: tensor.detach().to(device, torch.float32 if name == CODEBOOK else dtype, copy=True)
        for name, tensor in weights.items()
    }
    network.load_state_dict(copies, strict=True, assign=True)
    if convolves_in_channels_last(network, torch.device(device), dtype):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def convolves_in_channels_last(network: nn.Module, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a network should run in torch's channels_last memory format.

    On CUDA, 16-bit convolutions run on tensor cores and are faster in this format. On the CPU, convolutions are faster
    in it too, but a U-Net uses it only in bfloat16. In float32 its maps are too small to gain speed, and the null
    references (constant maps) need every digit of torch's default GroupNorm.
    """
    if device.type == "cpu":
        return dtype == torch.bfloat16 or isinstance(network, FirstStage)
    return device.type == "cuda" and dtype.itemsize == 2


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _name_first(names: Iterable[str]) -> str:
    first = list(names)[:3]
    return f" (the first: {', '.join(first)})" if first else " (it has no tensors)"


def _require_agreement(config: Path | None, hints: Hints, unet: UNetSpec) -> None:
    detected = asdict(unet)
    for name, value in hints.config_shapes.items():
        if value != detected[name]:
            raise CheckpointError(
                f"The config {config} says {name} {_shorten(value)}, the file's shapes say {detected[name]}.",
                expected="the config that the model was trained with",
                remedy="pass that config, or none for the official files",
            )


def _shorten(value: object) -> str:
    """Return a config's value for a message. The limits of `yaml_text` bound its size, but not to one line."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
