"""Guidance in an interval of noise levels (arXiv 2404.07724), under any of the host's samplers and guiders."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import comfy.samplers

from ...refldm_core.diffusion.guidance import Interval
from ...refldm_core.errors import SettingsError


def guided_at_timesteps(model: Any, interval: Interval) -> Any:
    """A MODEL that is guided at these timesteps alone; at the others the negative is not computed."""
    levels = model.get_model_object("model_sampling").sigmas
    return _guided_between(model, *(float(levels[timestep]) for timestep in interval))


def guided_during(model: Any, start_percent: float, end_percent: float) -> Any:
    """A MODEL that is guided in this part of the noise levels alone: 0 is the noisiest of them, 1 the cleanest.

    Raises:
        SettingsError: the end lies before the start.
    """
    if start_percent > end_percent:
        raise SettingsError(
            f"Guidance would begin at {start_percent:g} of sampling and end at {end_percent:g}.",
            expected="an end after the start, both from 0 to 1",
            remedy="exchange start_percent and end_percent; for no guidance at all set cfg to 1",
        )
    to_sigma = model.get_model_object("model_sampling").percent_to_sigma
    return _guided_between(model, to_sigma(end_percent), to_sigma(start_percent))


def _guided_between(model: Any, low: float, high: float) -> Any:
    """A copy that shares the weights; low and high are sigmas, both included."""
    limited = model.clone()
    compute = limited.model_options.get("sampler_calc_cond_batch_function", _compute)

    def compute_what_guides(args: dict[str, Any]) -> list[Any]:
        positive, negative = args["conds"]
        if negative is None or low <= float(args["sigma"][0]) <= high:
            return compute(args)
        alone = compute({**args, "conds": [positive, None]})[0]
        return [alone, alone]  # where both are equal, guidance of any kind and strength adds nothing

    limited.set_model_sampler_calc_cond_batch_function(compute_what_guides)
    return limited


def _compute(args: dict[str, Any]) -> list[Any]:
    return comfy.samplers.calc_cond_batch(
        args["model"], args["conds"], args["input"], args["sigma"], args["model_options"]
    )
