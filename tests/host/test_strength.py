"""Strength of the face and of its references, in the sampler and for stock samplers: the core's pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor

from refldm_core.images import round_to_u8
from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import Server
from .graphs import REFERENCES, prepared, restoring
from .oracle import assert_same, restore

Pictures = dict[str, Tensor]


def _core(core: Restorer, pictures: Pictures, **settings: Any) -> np.ndarray:
    references = [pictures[name] for name in REFERENCES]
    return restore(core, pictures["face.png"], references, SamplingSettings(steps=10, **settings))


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_reference_strength_is_the_cores(server: Server, core: Restorer, pictures: Pictures, strength: float) -> None:
    right = _core(core, pictures, reference_strength=strength)
    assert_same(server.pictures(restoring(steps=10, reference_strength=strength).api)[0], right)
    stock = prepared()
    stock.graph.api[stock.conditioning.number]["inputs"]["reference_strength"] = strength
    stock.graph.decode(stock.graph.ksampler(stock.model, stock.conditioning, steps=10), stock.vae)
    plain = server.pictures(restoring(steps=10).api)[0]
    for picture in (server.pictures(stock.graph.api)[0], right):
        assert np.abs(picture.astype(int) - plain).mean() > 1.0


def test_no_strength_is_no_references(server: Server) -> None:
    without = server.pictures(restoring(steps=4, reference_strength=0.0).api)[0]
    graph = restoring(steps=4)
    sampler = next(node for node in graph.api.values() if node["class_type"] == "ReFLDM_Sampler")
    del sampler["inputs"]["references"]
    assert np.array_equal(server.pictures(graph.api)[0], without)
    assert np.array_equal(
        server.pictures(restoring(steps=4, reference_strength=1.0).api)[0], server.pictures(restoring(steps=4).api)[0]
    )


def test_strength_is_the_cores(server: Server, core: Restorer, pictures: Pictures) -> None:
    right = _core(core, pictures, strength=0.5)
    assert_same(server.pictures(restoring(steps=10, denoise=0.5).api)[0], right)
    unchanged = server.pictures(restoring(steps=10, denoise=0.0).api)[0]
    before = round_to_u8(pictures["face.png"]).movedim(0, -1).numpy()
    assert np.array_equal(unchanged, before)
    described = server.get("/object_info/ReFLDM_Sampler")["ReFLDM_Sampler"]["input"]["required"]["denoise"][1]
    assert described["display_name"] == "strength" and described["min"] == 0.0
