"""Guidance intervals and presets in a running host: the same pictures as in the core, with no more network calls."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.presets import PRESETS

from .comfy import PromptError, Server
from .graphs import REFERENCES, Graph, Link, conditioned_graph, restoration_graph
from .oracle import assert_same, mean_difference, restore

Pictures = dict[str, Tensor]

INTERVAL = {"start_percent": 0.2, "end_percent": 0.7}
INTERVAL_IN_TIMESTEPS = (300, 799)
BATCH_SIZES_OF_TEN_STEPS = [1, 1, 2, 2, 2, 2, 2, 1, 1, 1]
"""Batch size of each U-Net call. A guided step runs two branches."""


def restore_in_core(core: Restorer, pictures: Pictures, settings: SamplingSettings) -> Any:
    return restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], settings)


def interval_graph(interval: dict[str, float], **settings: Any) -> Graph:
    """Return a graph in which ReFLDM_Sampler restores face.png with guidance in an interval."""
    graph = Graph()
    model = graph.load_model()
    guided = graph.add("ReFLDM_GuidanceInterval", model=model[0], **interval)
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(guided[0], model[1], graph.image("face.png"), references, steps=10, **settings)[0])
    return graph


def ksampler_interval_graph(interval: dict[str, float], *, rescaled: bool = False, **settings: Any) -> Graph:
    """Return a graph in which KSampler restores face.png with guidance in an interval."""
    graph, model, vae, _, conditioning = conditioned_graph()
    guided: Link = graph.add("ReFLDM_GuidanceInterval", model=model, **interval)[0]
    if rescaled:
        guided = graph.add("RescaleCFG", model=guided, multiplier=0.7)[0]
    graph.decode(graph.ksampler(guided, conditioning, steps=10, **settings), vae)
    return graph


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_equal_those_of_the_core(server: Server, core: Restorer, pictures: Pictures, preset: str) -> None:
    """A preset replaces the values of the other inputs. A strength below 1 is one of them."""
    settings = PRESETS[preset].settings
    server.probe()
    graph = restoration_graph(preset=preset, steps=3, cfg=7.0, sampler="ddim", scheduler="uniform")
    picture = server.pictures(graph.api)[0]
    counts = server.probe()
    assert_same(picture, restore_in_core(core, pictures, settings))
    batch_sizes: list[int] = []
    hook = core.unet.register_forward_hook(lambda module, args, output: batch_sizes.append(len(output)))
    restore_in_core(core, pictures, settings)
    hook.remove()
    assert counts["batches"] == batch_sizes


def test_preset_custom_equals_no_preset(server: Server) -> None:
    inputs = server.get("/object_info")["ReFLDM_Sampler"]["input"]
    assert "preset" not in inputs["required"] and inputs["optional"]["preset"][1]["default"] == "custom"
    without, custom = restoration_graph(steps=4), restoration_graph(steps=4, preset="custom")
    assert (server.pictures(without.api)[0] == server.pictures(custom.api)[0]).all()


def test_guidance_interval_equals_that_of_the_core(server: Server, core: Restorer, pictures: Pictures) -> None:
    server.probe()
    picture = server.pictures(interval_graph(INTERVAL).api)[0]
    assert server.probe()["batches"] == BATCH_SIZES_OF_TEN_STEPS
    settings = SamplingSettings(steps=10, guidance_interval=INTERVAL_IN_TIMESTEPS)
    assert_same(picture, restore_in_core(core, pictures, settings))


def test_guidance_interval_limits_stock_samplers(server: Server) -> None:
    server.probe()
    limited = server.pictures(ksampler_interval_graph(INTERVAL).api)[0]
    assert server.probe()["batches"] == BATCH_SIZES_OF_TEN_STEPS
    unlimited: list[Any] = []
    for cfg in (1.0, 1.5):
        graph, model, vae, _, conditioning = conditioned_graph()
        graph.decode(graph.ksampler(model, conditioning, steps=10, cfg=cfg), vae)
        unlimited += server.pictures(graph.api)
    assert min(mean_difference(limited, picture) for picture in unlimited) > 0.1
    everywhere = ksampler_interval_graph({"start_percent": 0.0, "end_percent": 1.0})
    assert (server.pictures(everywhere.api)[0] == unlimited[1]).all()
    nowhere = {"start_percent": 1.0, "end_percent": 1.0}
    assert_same(server.pictures(ksampler_interval_graph(nowhere).api)[0], unlimited[0])
    # RescaleCFG changes nothing either where there is no guidance.
    assert_same(server.pictures(ksampler_interval_graph(nowhere, rescaled=True).api)[0], unlimited[0])


def test_interval_that_ends_before_it_starts_is_explained(server: Server) -> None:
    with pytest.raises(PromptError, match=r"would begin at 0\.7 of sampling and end at 0\.2"):
        server.run(interval_graph({"start_percent": 0.7, "end_percent": 0.2}).api)
