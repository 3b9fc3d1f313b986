"""Guidance in an interval of noise levels (arXiv 2404.07724), with any sampler and guider of the host."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import comfy.samplers

from ...refldm_core.diffusion.settings import Interval
from ...refldm_core.errors import SettingsError


def limit_guidance_to_timesteps(model: Any, interval: Interval) -> Any:
    """Return a MODEL that is guided in an interval of timesteps only. Outside, the negative is not computed."""
    levels = model.get_model_object("model_sampling").sigmas
    return _limit_guidance(model, *(float(levels[timestep]) for timestep in interval))


def limit_guidance_to_part(model: Any, start_percent: float, end_percent: float) -> Any:
    """Return a MODEL that is guided in a part of the noise levels only. Outside, the negative is not computed.

    Args:
        model: A MODEL.
        start_percent, end_percent: Start and end of that part: 0 is the noisiest level, 1 the cleanest.

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
    return _limit_guidance(model, to_sigma(end_percent), to_sigma(start_percent))


def _limit_guidance(model: Any, low: float, high: float) -> Any:
    """Return a copy that shares the weights and is guided from sigma `low` to sigma `high`, both included."""
    limited = model.clone()
    compute = limited.model_options.get("sampler_calc_cond_batch_function", _compute_predictions)

    def compute_in_interval(args: dict[str, Any]) -> list[Any]:
        positive, negative = args["conds"]
        if negative is None or low <= float(args["sigma"][0]) <= high:
            return compute(args)
        prediction = compute({**args, "conds": [positive, None]})[0]
        return [prediction, prediction]  # guidance of any kind and strength adds nothing to two equal predictions

    limited.set_model_sampler_calc_cond_batch_function(compute_in_interval)
    return limited


def _compute_predictions(args: dict[str, Any]) -> list[Any]:
    return comfy.samplers.calc_cond_batch(
        args["model"], args["conds"], args["input"], args["sigma"], args["model_options"]
    )
