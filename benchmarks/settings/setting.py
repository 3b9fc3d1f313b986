"""A setting of the benchmark, and its form as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import torch

from refldm_core.diffusion.settings import SamplerName, SamplingSettings
from refldm_core.errors import SettingsError
from refldm_core.presets import PRESETS

from .reference_tokens import ALL, VARIANTS

_FORM = re.compile(
    r"(?:(?P<preset>" + "|".join(map(re.escape, PRESETS)) + r")"
    r"|(?P<sampler>ddim|dpmpp_2m):(?P<steps>\d+)(:(?P<guidance>\d+(\.\d+)?)(:(?P<low>\d+)-(?P<high>\d+))?)?"
    r"(,strength=(?P<strength>\d+(\.\d+)?))?(,references=(?P<references>\d+(\.\d+)?))?)"
    r"(,tokens=(?P<tokens>[\w-]+))?(@(?P<type>\w+))?"
)
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Setting:
    """Settings of the sampler, and the number type of the computation.

    Attributes:
        name: the setting as text.
        sampling: settings of the sampler.
        dtype: number type of the networks.
        tokens: which tokens of the references are kept, a name in `VARIANTS`.
    """

    name: str
    sampling: SamplingSettings
    dtype: torch.dtype
    tokens: str = ALL

    @staticmethod
    def parse(text: str) -> Setting:
        """Parse a setting: PRESET or SAMPLER:STEPS and so on, see `benchmarks.settings`.

        Raises:
            SettingsError: the text has another form, or a number is out of range.
        """
        match = _FORM.fullmatch(text)
        dtype = _TYPES.get((match["type"] or "float32") if match else "")
        tokens = (match["tokens"] or ALL) if match else ""
        if match is None or dtype is None or tokens not in VARIANTS:
            raise SettingsError(
                f"The setting {text} has no meaning.",
                expected="PRESET or SAMPLER:STEPS[:GUIDANCE[:LOW-HIGH]][,strength=S][,references=W], then "
                f"[,tokens=T][@TYPE], such as dpmpp_2m:10:1.5:200-999@bfloat16; PRESET is one of {', '.join(PRESETS)}, "
                f"T one of {', '.join(VARIANTS)}",
                remedy="correct the setting",
            )
        if match["preset"]:
            return Setting(text, PRESETS[match["preset"]].settings, dtype, tokens)
        options: dict[str, Any] = {"guidance_interval": (int(match["low"]), int(match["high"]))} if match["low"] else {}
        options["strength"] = float(match["strength"] or 1.0)
        options["reference_strength"] = float(match["references"] or 1.0)
        sampler = cast(SamplerName, match["sampler"])
        guidance = float(match["guidance"] or 1.5)
        sampling = SamplingSettings(int(match["steps"]), sampler, guidance=guidance, **options)
        return Setting(text, sampling, dtype, tokens)
