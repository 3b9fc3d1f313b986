"""Model files -> networks ready to run: recognized, compared tensor by tensor, loaded strictly."""

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
from .detection import Detected, detect_first_stage, detect_unet
from .hints import Hints, build_spec, gather
from .layout import CODEBOOK, Parts, Weights, split
from .reading import TensorFile, read_tensors
from .scale import require_scaled_conditions

FINGERPRINT_KEY = "refldm.fingerprint"
WEIGHTS_KEY = "refldm.weights"


@dataclass(frozen=True)
class Inspected:
    """A model file, read and recognized, but not yet built.

    Attributes:
        file: what was read.
        parts: its tensors by part.
        hints: what is known beyond shapes.
        unet, first_stage: None where the file has no such part.
    """

    file: TensorFile
    parts: Parts
    hints: Hints
    unet: Detected[UNetSpec] | None
    first_stage: Detected[FirstStageSpec] | None

    @property
    def missing(self) -> list[str]:
        """Parts that restoring needs and this file lacks."""
        parts = {"U-Net": self.unet, "first stage": self.first_stage}
        return [name for name, found in parts.items() if found is None]

    def unet_weights(self, prefer: Weights) -> tuple[Weights, Mapping[str, Tensor]]:
        """The U-Net's weights to use, and which they are; a converted file says what it was made from."""
        used, tensors = self.parts.unet_weights(prefer)
        return ("ema" if self.file.metadata.get(WEIGHTS_KEY) == "ema" else used), tensors

    def fingerprint(self, unet_weights: Mapping[str, Tensor]) -> str:
        """Of the original weights, also where the file is a conversion to another type."""
        return self.file.metadata.get(FINGERPRINT_KEY) or fingerprint(unet_weights)


@dataclass(frozen=True)
class LoadedModel:
    """Networks in evaluation mode with what was learned on the way.

    Attributes:
        unet, first_stage: loaded.
        spec: of both.
        weights: which copy of the U-Net was used, "ema" or "raw".
        metadata: text that the U-Net's file says of itself.
    """

    unet: UNet
    first_stage: FirstStage
    spec: ModelSpec
    weights: Weights
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def inspect_file(path: Path, config: Path | None = None) -> Inspected:
    """Read a model file and recognize what it holds.

    Raises:
        CheckpointError: unreadable, not ReF-LDM, tensors that belong to no part, or a config that contradicts it.
    """
    file = read_tensors(path)
    parts = split(file.tensors)
    if not parts.unet and not parts.first_stage:
        raise CheckpointError(
            f"{path} holds neither a ReF-LDM U-Net nor its first stage{_first_names(file.tensors)}.",
            expected="tensors named model.diffusion_model.*, first_stage_model.* or encoder.*, decoder.*, quantize.*",
            remedy="use refldm.ckpt, vqgan.ckpt, or a file that `refldm convert` wrote",
        )
    if parts.unknown:
        raise CheckpointError(
            f"{path} holds {len(parts.unknown)} tensors that belong to no part of ReF-LDM"
            f"{_first_names(parts.unknown)}.",
            expected="tensors of the published layout alone",
            remedy="check that this is a ReF-LDM file and not another model's",
        )
    hints = gather(config, file.metadata, parts.buffers)
    heads = int(hints.values["num_head_channels"])
    unet = detect_unet(_shapes(parts.unet), heads, hints.reasons["num_head_channels"]) if parts.unet else None
    if unet is not None:
        _require_agreement(config, hints, unet.spec)
    return Inspected(
        file, parts, hints, unet, detect_first_stage(_shapes(parts.first_stage)) if parts.first_stage else None
    )


@dataclass(frozen=True)
class ModelFiles:
    """The one or two files of a model, recognized and fitting together.

    Attributes:
        main: the file with the U-Net.
        first_stage: the file with the first stage; `main` itself where it has one and no other was named.
        spec: of both.
    """

    main: Inspected
    first_stage: Inspected
    spec: ModelSpec


def inspect_model(path: Path, first_stage_path: Path | None = None, config: Path | None = None) -> ModelFiles:
    """Recognize a model in one or two files.

    Args:
        path: file with the U-Net.
        first_stage_path: file with the first stage; None where `path` has it.
        config: YAML of the published layout, for values that the files do not tell.

    Raises:
        CheckpointError: see `inspect_file`; also a part that is missing, latents of different widths, or a scale factor
            that does not apply to every latent.
    """
    main = inspect_file(path, config)
    other = inspect_file(first_stage_path) if first_stage_path else main
    if main.unet is None:
        raise CheckpointError(
            f"{path} is a first stage without a U-Net.",
            expected="refldm.ckpt or a file that `refldm convert` wrote",
            remedy="pass this file as --vqgan and the U-Net's as --model",
        )
    if other.first_stage is None:
        raise CheckpointError(
            f"{other.file.path} has no first stage (VQGAN).",
            expected="the first stage inside the model's file, or in a file of its own",
            remedy="name vqgan.ckpt as the first stage (--vqgan on the command line); `refldm download` fetches it",
        )
    unet, first_stage, values = main.unet.spec, other.first_stage.spec, main.hints.values
    if unet.out_channels != first_stage.embed_dim:
        raise CheckpointError(
            f"The U-Net makes latents of {unet.out_channels} channels, the first stage has {first_stage.embed_dim}.",
            expected="a U-Net and a first stage that were trained together",
            remedy="use the first stage that the U-Net was trained on",
        )
    size, scale, noise = int(values["latent_size"]), float(values["scale_factor"]), main.hints.noise
    spec = build_spec(lambda: ModelSpec(unet, first_stage, noise, size, scale), main.hints.reasons)
    require_scaled_conditions(path, spec.scale_factor, main.hints.conditions_scaled)
    return ModelFiles(main, other, spec)


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
    """Load a model strictly: every tensor must be there, fit and be finite.

    Args:
        path, first_stage_path, config: as for `inspect_model`.
        weights: "ema" (for sampling; falls back to "raw" where there is no such copy) or "raw".
        dtype: of the U-Net.
        first_stage_dtype: of the first stage; None is the U-Net's, but float32 for a float16 one, whose range the
            first stage may leave. Its codebook stays float32.
        device: of both.

    Raises:
        CheckpointError: with the file, what is wrong with it and what to do.
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
    """The type that a first stage computes in beside a U-Net of `dtype`: it may leave the range of float16."""
    return torch.float32 if dtype == torch.float16 else dtype


def load_first_stage(
    path: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> FirstStage:
    """Load a first stage by itself, from its own file or from a whole model's.

    Raises:
        CheckpointError: as `inspect_model`.
    """
    found = inspect_file(path)
    if found.first_stage is None:
        raise CheckpointError(
            f"{path} has no first stage (VQGAN).",
            expected="vqgan.ckpt, or a model that holds its first stage",
            remedy="name the file of the first stage",
        )
    with torch.device("meta"):
        first_stage = FirstStage(found.first_stage.spec)
    _load(first_stage, found.parts.first_stage, path, device, dtype)
    return first_stage.eval()


def require_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with NaN or infinite values, which would only show as a black picture.

    Raises:
        CheckpointError: naming the first such tensor.
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
    # copy: the tensors may be views of a memory-mapped file, which must be free to go.
    own = {
        name: tensor.detach().to(device, torch.float32 if name == CODEBOOK else dtype, copy=True)
        for name, tensor in weights.items()
    }
    network.load_state_dict(own, strict=True, assign=True)
    if convolves_in_channels_last(network, torch.device(device), dtype):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def convolves_in_channels_last(network: nn.Module, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a network's convolutions are fastest with the channels side by side in memory.

    Those of tensor cores are, which compute in 16 bit. So are the CPU's; but there the U-Net's maps are too small for
    it to matter in float32, where the null references (constant maps) need every digit of torch's own GroupNorm.
    """
    if device.type == "cpu":
        return dtype == torch.bfloat16 or isinstance(network, FirstStage)
    return device.type == "cuda" and dtype.itemsize == 2


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _first_names(names: Iterable[str]) -> str:
    some = list(names)[:3]
    return f" (the first: {', '.join(some)})" if some else " (it has no tensors)"


def _require_agreement(config: Path | None, hints: Hints, unet: UNetSpec) -> None:
    found = asdict(unet)
    for name, stated in hints.also_stated.items():
        if stated != found[name]:
            raise CheckpointError(
                f"The config {config} says {name} {_stated(stated)}, the file's shapes say {found[name]}.",
                expected="the config that the model was trained with",
                remedy="pass that config, or none for the official files",
            )


def _stated(value: object) -> str:
    """A value of a config for a message; YAML's limits bound the number of its parts, not their length."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
