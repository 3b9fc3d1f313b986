"""Run 200 prompts in a row on one server."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
import pytest

from .comfy import Server
from .graphs import conditioned_graph, restoration_graph

PROMPTS = 200
WARM_UP = 40  # prompts until allocators and the host's own caches are full


def test_memory_stays_flat_over_200_prompts(
    server: Server, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every prompt has a new seed. Some prompts use other references or another sampler."""
    process = psutil.Process(server.pid)
    resident: list[float] = []
    alive_objects = {}
    for i in range(PROMPTS):
        if i % 10 == 5:
            graph, model, vae, _, conditioning = conditioned_graph()
            graph.decode(graph.ksampler(model, conditioning, steps=1, seed=i), vae)
        else:
            graph = restoration_graph(steps=1, seed=i)
            if i % 10 == 7:  # separate encoding makes new references
                encode = next(n for n in graph.api.values() if n["class_type"] == "ReFLDM_EncodeReferences")
                encode["inputs"]["encoding"] = "separate"
        server.run(graph.api)
        resident.append(process.memory_info().rss / 2**20)
        if i in (WARM_UP, PROMPTS - 1):
            alive_objects[i] = server.get("/refldm_probe?alive=1")
    first, last = alive_objects.values()
    steady = resident[WARM_UP:]
    slope = float(np.polyfit(np.arange(len(steady)), steady, 1)[0])
    record_property("mebibytes_a_prompt", slope)
    with capsys.disabled():
        alive = f"models {last['models']}, VAEs {last['vaes']}, reference sets {last['kv']}, tensors {last['tensors']}"
        print(f"\nsoak: {slope:+.4f} MiB a prompt, {steady[0]:.0f} -> {steady[-1]:.0f} MiB; alive: {alive}")
    assert slope < 0.1, f"{slope:.3f} MiB a prompt"
    assert last["models"] <= first["models"]
    assert last["vaes"] <= first["vaes"]
    assert last["kv"] <= first["kv"] + 2
