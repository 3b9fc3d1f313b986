"""Guidance in a part of sampling, and the presets: the core's pictures, and no more work than that."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.presets import PRESETS

from .comfy import PromptError, Server
from .graphs import REFERENCES, Graph, Link, prepared, restoring
from .oracle import assert_same, differ, restore

Pictures = dict[str, Tensor]

PART = {"start_percent": 0.2, "end_percent": 0.7}
PART_IN_TIMESTEPS = (300, 799)
PART_OF_TEN_STEPS = [1, 1, 2, 2, 2, 2, 2, 1, 1, 1]


def expected(core: Restorer, pictures: Pictures, settings: SamplingSettings) -> Any:
    return restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], settings)


def limited(part: dict[str, float], **settings: Any) -> Graph:
    """face.png restored by ReFLDM_Sampler through the node."""
    graph = Graph()
    model = graph.load_model()
    guided = graph.add("ReFLDM_GuidanceInterval", model=model[0], **part)
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(guided[0], model[1], graph.image("face.png"), references, steps=10, **settings)[0])
    return graph


def limited_ksampler(part: dict[str, float], *, rescaled: bool = False, **settings: Any) -> Graph:
    graph, model, vae, _, conditioning = prepared()
    guided: Link = graph.add("ReFLDM_GuidanceInterval", model=model, **part)[0]
    if rescaled:
        guided = graph.add("RescaleCFG", model=guided, multiplier=0.7)[0]
    graph.decode(graph.ksampler(guided, conditioning, steps=10, **settings), vae)
    return graph


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_that_of_refldm_restore(server: Server, core: Restorer, pictures: Pictures, preset: str) -> None:
    """Whatever stands in the inputs that it replaces."""
    settings = PRESETS[preset].settings
    server.probe()
    ours = server.pictures(restoring(preset=preset, steps=3, cfg=7.0, sampler="ddim", scheduler="uniform").api)[0]
    told = server.probe()
    assert_same(ours, expected(core, pictures, settings))
    rows: list[int] = []
    hook = core.unet.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    expected(core, pictures, settings)
    hook.remove()
    assert told["batches"] == rows


def test_custom_is_the_sampler_without_presets(server: Server) -> None:
    described = server.get("/object_info")["ReFLDM_Sampler"]["input"]
    assert "preset" not in described["required"] and described["optional"]["preset"][1]["default"] == "custom"
    without, custom = restoring(steps=4), restoring(steps=4, preset="custom")
    assert (server.pictures(without.api)[0] == server.pictures(custom.api)[0]).all()


def test_the_node_limits_guidance_as_the_core_does(server: Server, core: Restorer, pictures: Pictures) -> None:
    server.probe()
    ours = server.pictures(limited(PART).api)[0]
    assert server.probe()["batches"] == PART_OF_TEN_STEPS
    assert_same(ours, expected(core, pictures, SamplingSettings(steps=10, guidance_interval=PART_IN_TIMESTEPS)))


def test_the_node_limits_stock_samplers(server: Server) -> None:
    server.probe()
    part = server.pictures(limited_ksampler(PART).api)[0]
    assert server.probe()["batches"] == PART_OF_TEN_STEPS
    plain: list[Any] = []
    for cfg in (1.0, 1.5):
        graph, model, vae, _, conditioning = prepared()
        graph.decode(graph.ksampler(model, conditioning, steps=10, cfg=cfg), vae)
        plain += server.pictures(graph.api)
    assert min(differ(part, picture) for picture in plain) > 0.1
    everywhere = limited_ksampler({"start_percent": 0.0, "end_percent": 1.0})
    assert (server.pictures(everywhere.api)[0] == plain[1]).all()
    nowhere = {"start_percent": 1.0, "end_percent": 1.0}
    assert_same(server.pictures(limited_ksampler(nowhere).api)[0], plain[0])
    # Another kind of guidance has nothing to add either.
    assert_same(server.pictures(limited_ksampler(nowhere, rescaled=True).api)[0], plain[0])


def test_an_end_before_the_start_is_explained(server: Server) -> None:
    with pytest.raises(PromptError, match=r"would begin at 0\.7 of sampling and end at 0\.2"):
        server.run(limited({"start_percent": 0.7, "end_percent": 0.2}).api)
