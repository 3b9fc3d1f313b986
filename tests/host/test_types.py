"""The loader follows the host's choice of dtypes on graphics cards whose properties are recorded. NaN is an error."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .comfy import PACK, PromptError, Server, python_of
from .graphs import Graph, restoration_graph

CARDS = {
    "NVIDIA GeForce GTX 1660 Ti": (7, 5, ""),
    "Quadro T1000": (7, 5, ""),
    "NVIDIA GeForce RTX 2060": (7, 5, ""),
    "NVIDIA GeForce RTX 3060": (8, 6, ""),
    "AMD Radeon RX 6800": (10, 3, "gfx1030"),
    "AMD Radeon RX 7900 XTX": (11, 0, "gfx1100"),
}
"""Name -> major and minor compute capability, and AMD architecture."""


def chosen_dtypes(host: Path, *flags: str) -> dict[str, Any]:
    """Run card_types.py: card -> choice in the loader -> dtypes of the weights and of a manual cast."""
    cards = [
        {"name": name, "major": major, "minor": minor, "gcnArchName": architecture or name}
        for name, (major, minor, architecture) in CARDS.items()
    ]
    script = Path(__file__).parent / "card_types.py"
    command = [python_of(host), str(script), str(PACK / "tests" / "nodes" / "pack.py"), json.dumps(cards), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=host, env=environment, capture_output=True, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def test_auto_dtype_is_the_choice_of_the_host(host: Path) -> None:
    dtypes = chosen_dtypes(host)
    for card in ("NVIDIA GeForce GTX 1660 Ti", "Quadro T1000"):
        assert dtypes[card]["auto"] == ["float32", "None"]
        assert dtypes[card]["float16"] == ["float16", "float32"], "stored in 16 bits, computed in 32"
    for card in ("NVIDIA GeForce RTX 2060", "NVIDIA GeForce RTX 3060", "AMD Radeon RX 6800", "AMD Radeon RX 7900 XTX"):
        assert dtypes[card]["auto"] == ["float16", "None"]
    assert {tuple(dtypes[card]["float32 alone"]) for card in CARDS} == {("float32", "None")}
    assert dtypes["cpu"] == ["bfloat16", "None"]
    assert dtypes["cpu, float32 alone"] == ["float32", "None"]


@pytest.mark.parametrize(
    ("flag", "expected"), [("--fp32-unet", ["float32", "None"]), ("--bf16-unet", ["bfloat16", "None"])]
)
def test_auto_dtype_follows_the_flags_of_the_host(flag: str, expected: list[str], host: Path) -> None:
    assert chosen_dtypes(host, flag)["NVIDIA GeForce RTX 3060"]["auto"] == expected


@pytest.fixture
def overflowing(base: Path) -> str:
    """A checkpoint with weights beyond 65504, the largest number of float16. It works in float32."""
    original, name = base / "models" / "refldm" / "tiny.safetensors", "overflowing.safetensors"
    weights = load_file(original)
    first = next(key for key in weights if key.endswith("input_blocks.0.0.weight"))
    weights[first] = weights[first] / weights[first].abs().max() * 1e5
    reader: Any = safe_open(original, framework="pt")
    with reader as file:
        save_file(weights, base / "models" / "refldm" / name, file.metadata())
    return name


def _unreferenced_graph(checkpoint: str, dtype: str, *, stock: bool) -> Graph:
    """Return a graph that restores face.png with ReF-LDM Sampler, or with KSampler and VAE Decode."""
    graph = Graph()
    model, vae = (graph.load_model(checkpoint, dtype)[i] for i in (0, 1))
    face = graph.image("face.png")
    if stock:
        conditioning = graph.add("ReFLDM_Conditioning", vae=vae, image=face)
        graph.decode(graph.ksampler(model, conditioning, steps=2), vae)
    else:
        graph.save(graph.sampler(model, vae, face, steps=2)[0])
    return graph


@pytest.mark.parametrize("stock", [False, True], ids=["ReF-LDM Sampler", "VAE Decode"])
def test_nan_is_an_error_that_names_the_loaders_dtype(server: Server, overflowing: str, stock: bool) -> None:
    with pytest.raises(
        PromptError, match=r"(?s)restored pictures .* not finite.*float32 as dtype in .*Load ReF-LDM Mod"
    ):
        server.pictures(_unreferenced_graph(overflowing, "float16", stock=stock).api)
    assert server.pictures(_unreferenced_graph(overflowing, "float32", stock=stock).api)[0].std() > 1.0


def test_nan_in_references_is_an_error(server: Server, overflowing: str) -> None:
    graph = restoration_graph(dtype="float16", checkpoint=overflowing)
    with pytest.raises(PromptError, match=r"(?s)encoded references .* not finite.*float32 as dtype"):
        server.pictures(graph.api)
