"""Values that tensor shapes cannot tell (head channels, latent size, noise, scale), and where each value comes from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor

from ..diffusion.schedule import NoiseSpec
from ..errors import CheckpointError, OutOfRangeError, SettingsError
from ..model.unet import UNetSpec
from ..model.variants import RELEASED, ModelSpec
from ..ranges import Range, ranges_of
from ..yaml_text import YamlError, read_yaml
from .scale import conditions_are_scaled, require_equal_scales

METADATA_KEY = "refldm.spec"

Value = int | float
Spec = TypeVar("Spec")

_RANGES: Mapping[str, Range] = {**ranges_of(UNetSpec), **ranges_of(NoiseSpec), **ranges_of(ModelSpec)}
_METADATA, _TABLES = "the file's metadata", "the file's noise tables"


@dataclass(frozen=True)
class Hints:
    """Values by field name, and where each value comes from.

    The fields are num_head_channels, latent_size, timesteps, linear_start, linear_end and scale_factor.

    Attributes:
        values: Field name -> value.
        reasons: Field name -> where the value comes from.
        config_shapes: Values of the config that shapes tell too, for comparison with the shapes.
        conditions_scaled: Whether scale_factor applies to the latents of LQ pictures and references too.
    """

    values: Mapping[str, Value]
    reasons: Mapping[str, str]
    config_shapes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    conditions_scaled: bool = True

    @property
    def noise(self) -> NoiseSpec:
        """The spec of the noise schedule.

        Raises:
            CheckpointError: The values do not fit together.
        """
        values = self.values
        return build_spec(
            lambda: NoiseSpec(int(values["timesteps"]), float(values["linear_start"]), float(values["linear_end"])),
            self.reasons,
        )


def gather_hints(config: Path | None, metadata: Mapping[str, str], buffers: Mapping[str, Tensor]) -> Hints:
    """Collect the values that shapes cannot tell.

    Each value comes from the first of these sources that has it: the config, the file's metadata, the file's noise
    tables, the released model.

    Args:
        config: YAML of the published layout, which the user named.
        metadata: Metadata of a safetensors file, as `refldm convert` writes it.
        buffers: Tables of the noise schedule in the checkpoint.

    Raises:
        CheckpointError: The config cannot be read, describes something that this package does not implement, or has
            another scale factor than the file. Or a value is outside its range.
    """
    params, unet = _read_config(config) if config else ({}, {})
    from_config, config_shapes = _from_config(config, params, unet) if config else ({}, {})
    from_metadata, from_buffers = _from_metadata(metadata), _from_buffers(buffers)
    scale = (from_metadata or from_buffers).get("scale_factor")
    if config and scale is not None and "scale_factor" in from_config:
        require_equal_scales(config, float(from_config["scale_factor"]), float(scale))
    sources: list[tuple[str, Mapping[str, Value]]] = [
        (f"config {config.name if config else ''}", from_config),
        (_METADATA, from_metadata),
        (_TABLES, from_buffers),
        ("the released model's value: nothing in the file tells it", _values_of(RELEASED)),
    ]
    values: dict[str, Value] = {}
    reasons: dict[str, str] = {}
    for source, source_values in sources:
        for name, value in source_values.items():
            if name not in values:
                values[name], reasons[name] = value, source
    # `refldm convert` writes metadata only for models that scale every latent, as this package does.
    return Hints(values, reasons, config_shapes, bool(from_metadata) or conditions_are_scaled(params, buffers))


def build_spec(make: Callable[[], Spec], reasons: Mapping[str, str]) -> Spec:
    """Build a spec from values of a model file, and say where a wrong value comes from.

    Args:
        make: Builds the spec. It raises a SettingsError for values without meaning.
        reasons: Field name -> where the value comes from.

    Raises:
        CheckpointError: The values have no meaning. The message says where the wrong value comes from.
    """
    try:
        return make()
    except OutOfRangeError as error:
        problem = f"{error.name} is {error.value} ({reasons.get(error.name, 'from the shapes of the tensors')})."
        raise CheckpointError(problem, expected=error.expected, remedy=error.remedy) from error
    except SettingsError as error:
        raise CheckpointError(error.problem, expected=error.expected, remedy=error.remedy) from error


def metadata_of(spec: ModelSpec) -> dict[str, str]:
    """Return the safetensors metadata from which `gather_hints` reads the spec's values back."""
    return {METADATA_KEY: json.dumps(asdict(spec))}


def _values_of(spec: ModelSpec) -> dict[str, Value]:
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
        stated: dict[str, Any] = {
            "num_head_channels": spec["unet"]["num_head_channels"],
            "latent_size": spec["latent_size"],
            "scale_factor": spec["scale_factor"],
            **{name: spec["noise"][name] for name in ("timesteps", "linear_start", "linear_end")},
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"The file's metadata {METADATA_KEY} cannot be read ({type(error).__name__}: {str(error)[:80]}).",
            expected="the JSON that `refldm convert` writes",
            remedy="convert the original checkpoint again",
        ) from error
    return _to_numbers(stated, _METADATA)


def _to_numbers(stated: Mapping[str, Any], source: str) -> dict[str, Value]:
    """Check each value against the range of its field, and return it as a number. A value of None is left out."""
    return {
        name: build_spec(lambda n=name, v=value: _RANGES[n].number(n, v), {name: source})
        for name, value in stated.items()
        if value is not None
    }


def _from_buffers(buffers: Mapping[str, Tensor]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    if "betas" in buffers and buffers["betas"].numel() > 1:
        betas = buffers["betas"].double().flatten()
        # The table is float32. Rounding to seven digits gives back the decimal fractions that configs state.
        values = {
            "timesteps": betas.numel(),
            "linear_start": float(f"{betas[0].item():.7g}"),
            "linear_end": float(f"{betas[-1].item():.7g}"),
        }
    if "scale_factor" in buffers:
        scale = buffers["scale_factor"]
        values["scale_factor"] = float(scale) if scale.numel() == 1 else float("nan")
    return _to_numbers(values, _TABLES)


def _from_config(
    path: Path, params: Mapping[str, Any], unet: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, Any]]:
    """Return the values of a config that shapes cannot tell, and those that shapes tell too."""
    if unet.get("use_new_attention_order"):
        raise _unsupported_error(path, "use_new_attention_order: true", 'the published "legacy" order')
    if "num_head_channels" not in unet and "num_heads" in unet:
        raise _unsupported_error(path, "num_heads", "num_head_channels")
    stated = {
        "num_head_channels": unet.get("num_head_channels"),
        "latent_size": params.get("image_size", unet.get("image_size")),
        **{name: params.get(name) for name in ("timesteps", "linear_start", "linear_end", "scale_factor")},
    }
    names = ("in_channels", "out_channels", "model_channels", "num_res_blocks", "channel_mult")
    config_shapes = {name: _list_to_tuple(unet[name]) for name in names if unet.get(name) is not None}
    source = f"config {path.name}"
    latent_size = _to_numbers({"latent_size": stated.pop("latent_size")}, f"image_size in {source}")
    return {**latent_size, **_to_numbers(stated, source)}, config_shapes


def _list_to_tuple(value: object) -> object:
    """Return a list as a tuple, as the specs hold it, and any other value as it is."""
    return tuple(cast(list[object], value)) if isinstance(value, list) else value


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters of the model and those of its U-Net."""
    try:
        content = read_yaml(path)
        params, unet = content["model"]["params"], content["model"]["params"]["unet_config"]["params"]
        if not (isinstance(params, dict) and isinstance(unet, dict)):
            raise TypeError("params are not keys and values")
        return cast(dict[str, Any], params), cast(dict[str, Any], unet)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no config {path}.", expected="a YAML file", remedy="check the path") from error
    except (OSError, YamlError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"The config {path} cannot be used ({str(error).splitlines()[0][:200]}).",
            expected="YAML of the published layout, with model.params.unet_config.params",
            remedy="pass the configs/refldm.yaml that belongs to the checkpoint",
        ) from error


def _unsupported_error(path: Path, setting: str, expected: str) -> CheckpointError:
    return CheckpointError(
        f"The config {path} has {setting}, which this package does not implement.",
        expected=expected,
        remedy="use a model of the published architecture",
    )
