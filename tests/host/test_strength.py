"""The strengths of the face and of the references give the pictures of the core, also with stock samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor

from refldm_core.images import round_to_u8
from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import Server
from .graphs import REFERENCES, conditioned_graph, restoration_graph
from .oracle import assert_same, restore

Pictures = dict[str, Tensor]


def restore_in_core(core: Restorer, pictures: Pictures, **settings: Any) -> np.ndarray:
    references = [pictures[name] for name in REFERENCES]
    return restore(core, pictures["face.png"], references, SamplingSettings(steps=10, **settings))


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_reference_strength_equals_the_core(
    server: Server, core: Restorer, pictures: Pictures, strength: float
) -> None:
    expected = restore_in_core(core, pictures, reference_strength=strength)
    assert_same(server.pictures(restoration_graph(steps=10, reference_strength=strength).api)[0], expected)
    graph, model, vae, _, conditioning = conditioned_graph()
    graph.api[conditioning.number]["inputs"]["reference_strength"] = strength
    graph.decode(graph.ksampler(model, conditioning, steps=10), vae)
    full_strength = server.pictures(restoration_graph(steps=10).api)[0]
    for picture in (server.pictures(graph.api)[0], expected):
        assert np.abs(picture.astype(int) - full_strength).mean() > 1.0


def test_half_of_the_reference_tokens_equals_the_core(server: Server, core: Restorer, pictures: Pictures) -> None:
    expected = restore_in_core(core, pictures, reference_tokens="half")
    assert_same(server.pictures(restoration_graph(steps=10, reference_tokens="half").api)[0], expected)
    graph, model, vae, _, conditioning = conditioned_graph()
    graph.api[conditioning.number]["inputs"]["reference_tokens"] = "half"
    graph.decode(graph.ksampler(model, conditioning, steps=10), vae)
    all_tokens = server.pictures(restoration_graph(steps=10).api)[0]
    for picture in (server.pictures(graph.api)[0], expected):
        assert not np.array_equal(picture, all_tokens)


def test_zero_reference_strength_equals_no_references(server: Server) -> None:
    unreferenced = server.pictures(restoration_graph(steps=4, reference_strength=0.0).api)[0]
    graph = restoration_graph(steps=4)
    sampler = next(node for node in graph.api.values() if node["class_type"] == "ReFLDM_Sampler")
    del sampler["inputs"]["references"]
    assert np.array_equal(server.pictures(graph.api)[0], unreferenced)
    assert np.array_equal(
        server.pictures(restoration_graph(steps=4, reference_strength=1.0).api)[0],
        server.pictures(restoration_graph(steps=4).api)[0],
    )


def test_strength_equals_the_core(server: Server, core: Restorer, pictures: Pictures) -> None:
    expected = restore_in_core(core, pictures, strength=0.5)
    assert_same(server.pictures(restoration_graph(steps=10, denoise=0.5).api)[0], expected)
    unchanged = server.pictures(restoration_graph(steps=10, denoise=0.0).api)[0]
    before = round_to_u8(pictures["face.png"]).movedim(0, -1).numpy()
    assert np.array_equal(unchanged, before)
    denoise = server.get("/object_info/ReFLDM_Sampler")["ReFLDM_Sampler"]["input"]["required"]["denoise"][1]
    assert denoise["display_name"] == "strength" and denoise["min"] == 0.0
