"""What shapes cannot say: head size, latent size, noise and scale; each value with where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from torch import Tensor

from ..diffusion.schedule import NoiseSpec
from ..errors import CheckpointError
from ..model.variants import RELEASED, ModelSpec
from .scale import conditions_are_scaled, require_one_scale

METADATA_KEY = "refldm.spec"

Value = int | float


@dataclass(frozen=True)
class Hints:
    """Values by field name, and where each came from.

    The fields are num_head_channels, latent_size, timesteps, linear_start, linear_end and scale_factor.
    """

    values: Mapping[str, Value]
    reasons: Mapping[str, str]
    also_stated: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a config says of fields that shapes tell, to be compared with them."""
    conditions_scaled: bool = True
    """Whether scale_factor applies to LQ pictures and references too."""

    @property
    def noise(self) -> NoiseSpec:
        v = self.values
        return NoiseSpec(int(v["timesteps"]), float(v["linear_start"]), float(v["linear_end"]))


def gather(config: Path | None, metadata: Mapping[str, str], buffers: Mapping[str, Tensor]) -> Hints:
    """Collect what is known beyond shapes; the first source that knows a value wins.

    Args:
        config: YAML of the published layout, which the user named.
        metadata: of a safetensors file, as `refldm convert` writes it.
        buffers: schedule tables in the checkpoint.

    Raises:
        CheckpointError: a config that cannot be read, that describes what this package does not implement, or that has
            another scale factor than the file.
    """
    params, unet = _read_config(config) if config else ({}, {})
    from_config, stated = _from_config(config, params, unet) if config else ({}, {})
    from_metadata, from_buffers = _from_metadata(metadata), _from_buffers(buffers)
    scale = (from_metadata or from_buffers).get("scale_factor")
    if config and scale is not None and "scale_factor" in from_config:
        require_one_scale(config, float(from_config["scale_factor"]), float(scale))
    sources: list[tuple[str, Mapping[str, Value]]] = [
        (f"config {config.name if config else ''}", from_config),
        ("the file's metadata", from_metadata),
        ("the file's noise tables", from_buffers),
        ("the released model's value: nothing in the file tells it", _of(RELEASED)),
    ]
    values: dict[str, Value] = {}
    reasons: dict[str, str] = {}
    for source, known in sources:
        for name, value in known.items():
            if name not in values:
                values[name], reasons[name] = value, source
    # `refldm convert` writes metadata for models that scale every latent, as this package does.
    return Hints(values, reasons, stated, bool(from_metadata) or conditions_are_scaled(params, buffers))


def metadata_of(spec: ModelSpec) -> dict[str, str]:
    """Safetensors metadata from which `gather` reads the same values back."""
    return {METADATA_KEY: json.dumps(asdict(spec))}


def _of(spec: ModelSpec) -> dict[str, Value]:
    return {
        "num_head_channels": spec.unet.num_head_channels,
        "latent_size": spec.latent_size,
        "scale_factor": spec.scale_factor,
        "timesteps": spec.noise.timesteps,
        "linear_start": spec.noise.linear_start,
        "linear_end": spec.noise.linear_end,
    }


def _from_metadata(metadata: Mapping[str, str]) -> dict[str, Value]:
    if METADATA_KEY not in metadata:
        return {}
    try:
        spec = cast(dict[str, Any], json.loads(metadata[METADATA_KEY]))
        return {
            "num_head_channels": int(spec["unet"]["num_head_channels"]),
            "latent_size": int(spec["latent_size"]),
            "scale_factor": float(spec["scale_factor"]),
            "timesteps": int(spec["noise"]["timesteps"]),
            "linear_start": float(spec["noise"]["linear_start"]),
            "linear_end": float(spec["noise"]["linear_end"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"The file's metadata {METADATA_KEY} cannot be read ({error!r}).",
            expected="the JSON that `refldm convert` writes",
            remedy="convert the original checkpoint again",
        ) from error


def _from_buffers(buffers: Mapping[str, Tensor]) -> dict[str, Value]:
    known: dict[str, Value] = {}
    if "betas" in buffers and buffers["betas"].numel() > 1:
        betas = buffers["betas"].double().flatten()
        # Seven digits, since the table is float32: gives back the decimal fractions that configs state.
        known = {
            "timesteps": betas.numel(),
            "linear_start": float(f"{betas[0].item():.7g}"),
            "linear_end": float(f"{betas[-1].item():.7g}"),
        }
    if "scale_factor" in buffers:
        known["scale_factor"] = float(buffers["scale_factor"])
    return known


def _from_config(
    path: Path, params: Mapping[str, Any], unet: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, Any]]:
    """Values of a config, and what it says of fields that shapes tell."""
    if unet.get("use_new_attention_order"):
        raise _unsupported(path, "use_new_attention_order: true", 'the published "legacy" order')
    if "num_head_channels" not in unet and "num_heads" in unet:
        raise _unsupported(path, "num_heads", "num_head_channels")
    found = {
        "num_head_channels": unet.get("num_head_channels"),
        "latent_size": params.get("image_size", unet.get("image_size")),
        **{name: params.get(name) for name in ("timesteps", "linear_start", "linear_end", "scale_factor")},
    }
    shapes_tell = {
        "in_channels": unet.get("in_channels"),
        "out_channels": unet.get("out_channels"),
        "model_channels": unet.get("model_channels"),
        "num_res_blocks": unet.get("num_res_blocks"),
        "channel_mult": tuple(unet["channel_mult"]) if "channel_mult" in unet else None,
    }
    try:
        values = {
            n: float(v) if n.startswith(("linear", "scale")) else int(v) for n, v in found.items() if v is not None
        }
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"A value in the config {path} is not a number ({error}).",
            expected="numbers for image_size, timesteps, linear_start, linear_end and num_head_channels",
            remedy="compare it with the published configs/refldm.yaml",
        ) from error
    return values, {n: v for n, v in shapes_tell.items() if v is not None}


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = cast(dict[str, Any], content["model"]["params"])
        return params, cast(dict[str, Any], params["unet_config"]["params"])
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no config {path}.", expected="a YAML file", remedy="check the path") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"The config {path} cannot be used ({str(error).splitlines()[0]}).",
            expected="YAML of the published layout, with model.params.unet_config.params",
            remedy="pass the configs/refldm.yaml that belongs to the checkpoint",
        ) from error


def _unsupported(path: Path, found: str, expected: str) -> CheckpointError:
    return CheckpointError(
        f"The config {path} has {found}, which this package does not implement.",
        expected=expected,
        remedy="use a model of the published architecture",
    )
