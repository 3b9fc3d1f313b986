"""MODEL, VAE, CONDITIONING, LATENT and SIGMAS in the host's own nodes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from safetensors.torch import load_file
from torch import Tensor

from refldm_core.pipeline import Restorer

from .comfy import PACK_NAME, PromptError, Server
from .graphs import REFERENCES, Graph, Link, prepared, restoring
from .oracle import assert_same, differ, to_u8

Pictures = dict[str, Tensor]


def plain(**settings: Any) -> Graph:
    """Stock KSampler on everything as it comes."""
    graph, model, vae, _, conditioning = prepared()
    graph.decode(graph.ksampler(model, conditioning, steps=10, **settings), vae)
    return graph


def save_latent(graph: Graph, samples: Link, name: str) -> None:
    graph.add("SaveLatent", samples=samples, filename_prefix=name)


def saved_latent(base: Path, name: str) -> Tensor:
    return load_file(max((base / "output").glob(f"{name}_*.latent")))["latent_tensor"]


def test_two_ksamplers_advanced_are_one(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()

    def advanced(latent: Link, first: bool) -> Link:
        return graph.add(
            "KSamplerAdvanced",
            model=model,
            add_noise="enable" if first else "disable",
            noise_seed=2024,
            steps=10,
            cfg=1.5,
            sampler_name="ddim",
            scheduler="simple",
            positive=conditioning[0],
            negative=conditioning[1],
            latent_image=latent,
            start_at_step=0 if first else 6,
            end_at_step=6 if first else 10,
            return_with_leftover_noise="enable" if first else "disable",
        )[0]

    graph.decode(advanced(advanced(conditioning[2], True), False), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(plain().api)[0])


def test_combined_conditioning_is_their_mean(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()
    twice = graph.add("ConditioningCombine", conditioning_1=conditioning[0], conditioning_2=conditioning[0])
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=twice[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(plain().api)[0])


def test_timestep_ranges_that_cover_everything_change_nothing(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()

    def during(cond: Link, start: float, end: float) -> Link:
        return graph.add("ConditioningSetTimestepRange", conditioning=cond, start=start, end=end)[0]

    early, late = during(conditioning[0], 0.0, 0.5), during(conditioning[0], 0.5, 1.0)
    both = graph.add("ConditioningCombine", conditioning_1=early, conditioning_2=late)
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=both[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(plain().api)[0])

    graph, model, vae, _, conditioning = prepared()
    fewer = graph.encode(model, vae, "reference_3.png")
    other = graph.add("ReFLDM_Conditioning", vae=vae, image=graph.image("face.png"), references=fewer)
    mixed = graph.add(
        "ConditioningCombine",
        conditioning_1=during(other[0], 0.0, 0.5),
        conditioning_2=during(conditioning[0], 0.5, 1.0),
    )
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=mixed[0]), vae)
    assert differ(server.pictures(graph.api)[0], server.pictures(plain().api)[0]) > 0.5, "the range has an effect"


def test_a_noise_mask_keeps_what_it_covers(server: Server, base: Path) -> None:
    graph, model, vae, _, conditioning = prepared()
    start = graph.add("VAEEncode", pixels=graph.image("reference_1.png"), vae=vae)
    mask = graph.add("SolidMask", value=0.0, width=128, height=128)
    half = graph.add("SolidMask", value=1.0, width=64, height=128)
    mask = graph.add("MaskComposite", destination=mask[0], source=half[0], x=0, y=0, operation="add")
    masked = graph.add("SetLatentNoiseMask", samples=start[0], mask=mask[0])
    samples = graph.ksampler(model, conditioning, steps=4, latent_image=masked[0])
    save_latent(graph, samples, "masked")
    save_latent(graph, start[0], "unmasked")
    server.run(graph.api)
    ours, original = saved_latent(base, "masked"), saved_latent(base, "unmasked")
    assert torch.allclose(ours[..., 10:], original[..., 10:], atol=1e-4), "right of the mask nothing changes"
    assert (ours[..., :6] - original[..., :6]).abs().mean() > 0.1


def test_less_denoise_stays_closer_to_the_latent(server: Server, base: Path) -> None:
    distances: list[float] = []
    for denoise in (0.3, 0.9):
        graph, model, vae, _, conditioning = prepared()
        start = graph.add("VAEEncode", pixels=graph.image("face.png"), vae=vae)
        name = f"denoise{denoise}"
        save_latent(graph, graph.ksampler(model, conditioning, steps=5, latent_image=start[0], denoise=denoise), name)
        save_latent(graph, start[0], f"start{denoise}")
        server.run(graph.api)
        distances.append((saved_latent(base, name) - saved_latent(base, f"start{denoise}")).square().mean().item())
        server.probe()
        server.run(restoring(steps=5, denoise=denoise).api)
        assert server.probe()["unet"] == 5
    assert distances[0] < distances[1]


def test_vae_nodes_are_the_first_stage(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    latent = graph.add("VAEEncode", pixels=graph.image("reference_1.png"), vae=model[1])
    graph.decode(latent[0], model[1])
    ours = server.pictures(graph.api)[0]
    assert_same(ours, to_u8(core.decode(core.encode(pictures["reference_1.png"].unsqueeze(0)))))


def test_tiled_vae_nodes_run_and_say_that_they_differ(server: Server) -> None:
    graph = Graph()
    model = graph.load_model()
    tiles = {"tile_size": 64, "overlap": 16, "temporal_size": 64, "temporal_overlap": 8}
    latent = graph.add("VAEEncodeTiled", pixels=graph.image("reference_1.png"), vae=model[1], **tiles)
    graph.save(graph.add("VAEDecodeTiled", samples=latent[0], vae=model[1], **tiles)[0])
    assert server.pictures(graph.api)[0].shape == (128, 128, 3)
    assert "encoding or decoding in tiles gives a different picture" in server.log


def test_rescale_cfg_and_other_patches_apply(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()
    rescaled = graph.add("RescaleCFG", model=model, multiplier=0.7)
    graph.decode(graph.ksampler(rescaled[0], conditioning, steps=10), vae)
    assert differ(server.pictures(graph.api)[0], server.pictures(plain().api)[0]) > 0.1


def test_zeroed_conditioning_still_samples(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()
    zeroed = graph.add("ConditioningZeroOut", conditioning=conditioning[1])
    graph.decode(graph.ksampler(model, conditioning, steps=10, negative=zeroed[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(plain().api)[0])


def test_compiled_model_gives_the_same_picture_and_is_not_compiled_anew(server: Server) -> None:
    """Traced and guarded as TorchCompileModel does it, without the minutes that generating machine code takes."""

    def compiled(names: tuple[str, ...], seed: int = 2024) -> Graph:
        graph = Graph()
        model = graph.load_model()
        traced = graph.add("RefldmProbeCompile", model=model[0])
        references = graph.encode(model[0], model[1], *names)
        graph.save(graph.sampler(traced[0], model[1], graph.image("face.png"), references, steps=4, seed=seed)[0])
        return graph

    server.probe()
    ours = server.pictures(compiled(REFERENCES).api)[0]
    assert_same(ours, server.pictures(restoring(steps=4).api)[0])
    first = server.probe()["graphs"]
    assert first >= 1
    server.run(compiled(REFERENCES, seed=4).api)
    assert server.probe()["graphs"] == first, "other noise is no reason to compile"
    server.run(compiled(("reference_1.png",), seed=5).api)
    assert server.probe()["graphs"] <= first + 1, "another number of references is one"


def test_the_stock_compile_node_gives_the_same_picture(server: Server) -> None:
    """With its back end cudagraphs, which needs no compiler and, where there is no GPU, records no graph either."""
    graph = Graph()
    model = graph.load_model()
    compiled = graph.add("TorchCompileModel", model=model[0], backend="cudagraphs")
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(compiled[0], model[1], graph.image("face.png"), references, steps=4)[0])
    before = server.probe()["graphs"]
    ours = server.pictures(graph.api)[0]
    assert server.probe()["graphs"] > before
    assert_same(ours, server.pictures(restoring(steps=4).api)[0])


def test_previews_are_shown(server: Server) -> None:
    server.probe()
    server.run(restoring(steps=4, seed=99).api)
    told = server.probe()
    assert told["previews"] == 4
    assert told["preview_colors"] > 4, "not one flat color"


def test_interrupt_within_a_step_leaves_nothing_behind(server: Server, core: Restorer, pictures: Pictures) -> None:
    server.run(restoring(steps=4).api)
    before = server.get("/refldm_probe?alive=1")
    step = 0.5
    server.get(f"/refldm_probe?slow={step}")
    prompt = server.queue(restoring(steps=100, seed=5).api)
    while server.get("/refldm_probe")["unet"] == 0:
        time.sleep(0.05)
    time.sleep(step)
    server.get("/refldm_probe")
    server.post("/interrupt")
    start = time.monotonic()
    entry = server.wait(prompt)
    waited = time.monotonic() - start
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    assert server.get("/refldm_probe?slow=0")["unet"] <= 1
    assert waited < 2 * step + 1.0
    again = server.pictures(restoring(steps=4).api)[0]
    after = server.get("/refldm_probe?alive=1")
    assert after["models"] == before["models"]
    assert after["kv"] <= before["kv"]
    graph = restoring(steps=4, seed=2024, cfg=1.51)
    assert differ(again, server.pictures(graph.api)[0]) < 5.0


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("KSampler", {}, "has no picture to restore"),
    ],
)
def test_wrong_wiring_is_explained(server: Server, node: str, inputs: dict[str, Any], message: str) -> None:
    """A conditioning that is not ours, as a text encoder would give."""
    graph, model, vae, _, conditioning = prepared()
    graph.add("EmptyLatentImage", width=128, height=128, batch_size=1)
    empty = graph.add("RefldmProbeConditioning")
    wires = {"positive": empty[0], "negative": empty[0]}
    graph.decode(graph.ksampler(model, conditioning, **wires), vae)
    with pytest.raises(PromptError, match=message):
        server.run(graph.api)


def test_the_page_gets_the_help(server: Server) -> None:
    for node in (name for name in server.get("/object_info") if name.startswith("ReFLDM_")):
        answer = requests.get(f"{server.url}/extensions/{PACK_NAME}/docs/{node}.md", timeout=10)
        assert answer.ok, node
        assert len(answer.text) > 300, node
