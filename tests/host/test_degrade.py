"""The Degrade node in a running host: the same degradations as in the core, with one seed for each picture."""

from __future__ import annotations

import numpy as np
import pytest

from refldm_core.data.degradation import RANGES, Kind, degrade, draw
from refldm_core.images import load_image

from .comfy import PromptError, Server
from .graphs import REFERENCES, Graph

FACES = ("face.png", "reference_1.png", "reference_2.png")


def run_degrade(server: Server, names: tuple[str, ...], kind: str, seed: int) -> tuple[list[np.ndarray], str]:
    """Run Degrade on these files, and return the pictures and the report."""
    graph = Graph()
    node = graph.add("ReFLDM_Degrade", image=graph.image(*names), kind=kind, seed=seed)
    report = graph.add("PreviewAny", source=node[1])
    end = graph.add("SaveImage", images=node[0], filename_prefix="degraded")
    outputs = server.run(graph.api)
    return [server.picture(file) for file in outputs[end.number]["images"]], outputs[report.number]["text"][0]


@pytest.mark.parametrize("kind", RANGES)
def test_degradation_equals_the_core(kind: Kind, server: Server) -> None:
    pictures, report = run_degrade(server, FACES, kind, 5)
    lines = report.splitlines()
    assert len(pictures) == len(lines) == 3
    for i, name in enumerate(FACES):
        degradation = draw(RANGES[kind], 5 + i)
        clean = np.array(load_image(server.base / "input" / name))
        expected = degrade(clean, degradation)
        # The host's Pillow may contain another JPEG library, and SaveImage truncates.
        difference = np.abs(pictures[i].astype(int) - expected)
        assert difference.max() <= 8 and difference.mean() < 1
        assert np.abs(pictures[i].astype(int) - clean).mean() > 2
        assert lines[i].startswith(f"{i + 1}: seed {5 + i}, blur {degradation.blur_sigma:.2f}, ")
        assert lines[i].endswith(f"JPEG quality {degradation.jpeg_quality}")


def test_degradation_does_not_depend_on_the_batch(server: Server) -> None:
    largest_seed = 0xFFFFFFFFFFFFFFFF
    batch, _ = run_degrade(server, ("face.png", "reference_1.png"), "training", largest_seed - 1)
    (single,), report = run_degrade(server, ("reference_1.png",), "training", largest_seed)
    assert (single == batch[1]).all()
    assert f"seed {largest_seed}," in report
    beyond_largest, _ = run_degrade(server, ("face.png", "reference_1.png"), "training", largest_seed)
    assert len(beyond_largest) == 2


def test_unknown_kind_is_refused(server: Server) -> None:
    with pytest.raises(PromptError, match="gentle"):
        run_degrade(server, ("face.png",), "gentle", 1)


def test_degraded_face_is_restored(server: Server) -> None:
    graph = Graph()
    model = graph.load_model()
    degraded = graph.add("ReFLDM_Degrade", image=graph.image("face.png"), kind="severe", seed=1)
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(model[0], model[1], degraded[0], references, steps=2)[0])
    (restored,) = server.pictures(graph.api)
    assert restored.shape == (128, 128, 3)
