"""The Degrade node in a running host: what the core does, a seed for each picture, and a degraded face restored."""

from __future__ import annotations

import numpy as np
import pytest

from refldm_core.data.degradation import RANGES, Kind, degrade, draw
from refldm_core.images import load_image

from .comfy import PromptError, Server
from .graphs import REFERENCES, Graph

FACES = ("face.png", "reference_1.png", "reference_2.png")


def degraded(server: Server, names: tuple[str, ...], kind: str, seed: int) -> tuple[list[np.ndarray], str]:
    graph = Graph()
    node = graph.add("ReFLDM_Degrade", image=graph.image(*names), kind=kind, seed=seed)
    told = graph.add("PreviewAny", source=node[1])
    end = graph.add("SaveImage", images=node[0], filename_prefix="degraded")
    outputs = server.run(graph.api)
    return [server.picture(one) for one in outputs[end.number]["images"]], outputs[told.number]["text"][0]


@pytest.mark.parametrize("kind", RANGES)
def test_as_without_a_host(kind: Kind, server: Server) -> None:
    ours, report = degraded(server, FACES, kind, 5)
    lines = report.splitlines()
    assert len(ours) == len(lines) == 3
    for i, name in enumerate(FACES):
        drawn = draw(RANGES[kind], 5 + i)
        picture = np.array(load_image(server.base / "input" / name))
        right = degrade(picture, drawn)
        # The host's own Pillow may bring another JPEG library, and saving truncates.
        difference = np.abs(ours[i].astype(int) - right)
        assert difference.max() <= 8 and difference.mean() < 1
        assert np.abs(ours[i].astype(int) - picture).mean() > 2
        assert lines[i].startswith(f"{i + 1}: seed {5 + i}, blur {drawn.blur_sigma:.2f}, ")
        assert lines[i].endswith(f"JPEG quality {drawn.jpeg_quality}")


def test_a_picture_alone_is_as_in_its_batch(server: Server) -> None:
    largest = 0xFFFFFFFFFFFFFFFF
    batch, _ = degraded(server, ("face.png", "reference_1.png"), "training", largest - 1)
    (alone,), report = degraded(server, ("reference_1.png",), "training", largest)
    assert (alone == batch[1]).all()
    assert f"seed {largest}," in report
    beyond, _ = degraded(server, ("face.png", "reference_1.png"), "training", largest)
    assert len(beyond) == 2


def test_an_unknown_kind_is_refused(server: Server) -> None:
    with pytest.raises(PromptError, match="gentle"):
        degraded(server, ("face.png",), "gentle", 1)


def test_degrade_and_restore(server: Server) -> None:
    graph = Graph()
    model = graph.load_model()
    low = graph.add("ReFLDM_Degrade", image=graph.image("face.png"), kind="severe", seed=1)
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(model[0], model[1], low[0], references, steps=2)[0])
    (restored,) = server.pictures(graph.api)
    assert restored.shape == (128, 128, 3)
