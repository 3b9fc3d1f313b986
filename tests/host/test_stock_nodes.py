"""The host's own nodes work with the MODEL, VAE, CONDITIONING and LATENT of the pack."""

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
from .graphs import REFERENCES, Graph, Link, conditioned_graph, restoration_graph
from .oracle import assert_same, mean_difference, to_u8

Pictures = dict[str, Tensor]


def ksampler_graph(**settings: Any) -> Graph:
    """Return a graph in which the stock KSampler restores face.png with three references."""
    graph, model, vae, _, conditioning = conditioned_graph()
    graph.decode(graph.ksampler(model, conditioning, steps=10, **settings), vae)
    return graph


def save_latent(graph: Graph, samples: Link, name: str) -> None:
    graph.add("SaveLatent", samples=samples, filename_prefix=name)


def saved_latent(base: Path, name: str) -> Tensor:
    return load_file(max((base / "output").glob(f"{name}_*.latent")))["latent_tensor"]


def test_two_ksampler_advanced_nodes_equal_one_ksampler(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()

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
    assert_same(server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0])


def test_conditioning_combined_with_itself_changes_nothing(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    doubled = graph.add("ConditioningCombine", conditioning_1=conditioning[0], conditioning_2=conditioning[0])
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=doubled[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0])


def test_timestep_ranges_split_sampling_between_conditionings(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()

    def during(cond: Link, start: float, end: float) -> Link:
        return graph.add("ConditioningSetTimestepRange", conditioning=cond, start=start, end=end)[0]

    early, late = during(conditioning[0], 0.0, 0.5), during(conditioning[0], 0.5, 1.0)
    combined = graph.add("ConditioningCombine", conditioning_1=early, conditioning_2=late)
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=combined[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0])

    graph, model, vae, _, conditioning = conditioned_graph()
    fewer = graph.encode(model, vae, "reference_3.png")
    one_reference = graph.add("ReFLDM_Conditioning", vae=vae, image=graph.image("face.png"), references=fewer)
    mixed = graph.add(
        "ConditioningCombine",
        conditioning_1=during(one_reference[0], 0.0, 0.5),
        conditioning_2=during(conditioning[0], 0.5, 1.0),
    )
    graph.decode(graph.ksampler(model, conditioning, steps=10, positive=mixed[0]), vae)
    split, unsplit = server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0]
    assert mean_difference(split, unsplit) > 0.5, "the range has an effect"


def test_noise_mask_keeps_the_latent_outside_it(server: Server, base: Path) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    start = graph.add("VAEEncode", pixels=graph.image("reference_1.png"), vae=vae)
    mask = graph.add("SolidMask", value=0.0, width=128, height=128)
    half = graph.add("SolidMask", value=1.0, width=64, height=128)
    mask = graph.add("MaskComposite", destination=mask[0], source=half[0], x=0, y=0, operation="add")
    masked = graph.add("SetLatentNoiseMask", samples=start[0], mask=mask[0])
    samples = graph.ksampler(model, conditioning, steps=4, latent_image=masked[0])
    save_latent(graph, samples, "masked")
    save_latent(graph, start[0], "unmasked")
    server.run(graph.api)
    sampled, original = saved_latent(base, "masked"), saved_latent(base, "unmasked")
    assert torch.allclose(sampled[..., 10:], original[..., 10:], atol=1e-4), "right of the mask nothing changes"
    assert (sampled[..., :6] - original[..., :6]).abs().mean() > 0.1


def test_lower_denoise_stays_closer_to_the_latent(server: Server, base: Path) -> None:
    distances: list[float] = []
    for denoise in (0.3, 0.9):
        graph, model, vae, _, conditioning = conditioned_graph()
        start = graph.add("VAEEncode", pixels=graph.image("face.png"), vae=vae)
        name = f"denoise{denoise}"
        save_latent(graph, graph.ksampler(model, conditioning, steps=5, latent_image=start[0], denoise=denoise), name)
        save_latent(graph, start[0], f"start{denoise}")
        server.run(graph.api)
        distances.append((saved_latent(base, name) - saved_latent(base, f"start{denoise}")).square().mean().item())
        server.probe()
        server.run(restoration_graph(steps=5, denoise=denoise).api)
        assert server.probe()["unet"] == 5
    assert distances[0] < distances[1]


def test_vae_nodes_equal_the_first_stage(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    latent = graph.add("VAEEncode", pixels=graph.image("reference_1.png"), vae=model[1])
    graph.decode(latent[0], model[1])
    decoded = server.pictures(graph.api)[0]
    assert_same(decoded, to_u8(core.decode(core.encode(pictures["reference_1.png"].unsqueeze(0)))))


def test_tiled_vae_nodes_run_and_warn_that_the_picture_differs(server: Server) -> None:
    graph = Graph()
    model = graph.load_model()
    tiles = {"tile_size": 64, "overlap": 16, "temporal_size": 64, "temporal_overlap": 8}
    latent = graph.add("VAEEncodeTiled", pixels=graph.image("reference_1.png"), vae=model[1], **tiles)
    graph.save(graph.add("VAEDecodeTiled", samples=latent[0], vae=model[1], **tiles)[0])
    assert server.pictures(graph.api)[0].shape == (128, 128, 3)
    assert "encoding or decoding in tiles gives a different picture" in server.log


def test_rescale_cfg_changes_the_picture(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    rescaled = graph.add("RescaleCFG", model=model, multiplier=0.7)
    graph.decode(graph.ksampler(rescaled[0], conditioning, steps=10), vae)
    assert mean_difference(server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0]) > 0.1


def test_conditioning_zero_out_changes_nothing(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    zeroed = graph.add("ConditioningZeroOut", conditioning=conditioning[1])
    graph.decode(graph.ksampler(model, conditioning, steps=10, negative=zeroed[0]), vae)
    assert_same(server.pictures(graph.api)[0], server.pictures(ksampler_graph().api)[0])


def test_traced_model_gives_the_same_picture_without_tracing_again(server: Server) -> None:
    """TorchCompileModel traces and guards in the same way. This test skips the machine code, which takes minutes."""

    def traced_graph(names: tuple[str, ...], seed: int = 2024) -> Graph:
        graph = Graph()
        model = graph.load_model()
        traced = graph.add("RefldmProbeCompile", model=model[0])
        references = graph.encode(model[0], model[1], *names)
        graph.save(graph.sampler(traced[0], model[1], graph.image("face.png"), references, steps=4, seed=seed)[0])
        return graph

    server.probe()
    restored = server.pictures(traced_graph(REFERENCES).api)[0]
    assert_same(restored, server.pictures(restoration_graph(steps=4).api)[0])
    first = server.probe()["graphs"]
    assert first >= 1
    server.run(traced_graph(REFERENCES, seed=4).api)
    assert server.probe()["graphs"] == first, "another seed causes no tracing"
    server.run(traced_graph(("reference_1.png",), seed=5).api)
    assert server.probe()["graphs"] <= first + 1, "another number of references causes one more graph"


def test_stock_compile_node_gives_the_same_picture(server: Server) -> None:
    """The back end cudagraphs needs no compiler. Without a GPU it records no CUDA graph either."""
    graph = Graph()
    model = graph.load_model()
    compiled = graph.add("TorchCompileModel", model=model[0], backend="cudagraphs")
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(compiled[0], model[1], graph.image("face.png"), references, steps=4)[0])
    before = server.probe()["graphs"]
    restored = server.pictures(graph.api)[0]
    assert server.probe()["graphs"] > before
    assert_same(restored, server.pictures(restoration_graph(steps=4).api)[0])


def test_each_step_shows_a_preview(server: Server) -> None:
    server.probe()
    server.run(restoration_graph(steps=4, seed=99).api)
    counts = server.probe()
    assert counts["previews"] == 4
    assert counts["preview_colors"] > 4, "not one flat color"


def test_interrupt_within_a_step_leaves_nothing_behind(server: Server, core: Restorer, pictures: Pictures) -> None:
    server.run(restoration_graph(steps=4).api)
    before = server.get("/refldm_probe?alive=1")
    step_delay = 0.5
    server.get(f"/refldm_probe?slow={step_delay}")
    prompt = server.queue(restoration_graph(steps=100, seed=5).api)
    while server.get("/refldm_probe")["unet"] == 0:
        time.sleep(0.05)
    time.sleep(step_delay)
    server.get("/refldm_probe")
    server.post("/interrupt")
    start = time.monotonic()
    entry = server.wait(prompt)
    waited = time.monotonic() - start
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    assert server.get("/refldm_probe?slow=0")["unet"] <= 1
    assert waited < 2 * step_delay + 1.0
    repeated = server.pictures(restoration_graph(steps=4).api)[0]
    after = server.get("/refldm_probe?alive=1")
    assert after["models"] == before["models"]
    assert after["kv"] <= before["kv"]
    graph = restoration_graph(steps=4, seed=2024, cfg=1.51)
    assert mean_difference(repeated, server.pictures(graph.api)[0]) < 5.0


def test_conditioning_of_another_model_is_explained(server: Server) -> None:
    """A text encoder outputs such a conditioning."""
    graph, model, vae, _, conditioning = conditioned_graph()
    foreign = graph.add("RefldmProbeConditioning")
    graph.decode(graph.ksampler(model, conditioning, positive=foreign[0], negative=foreign[0]), vae)
    with pytest.raises(PromptError, match="has no picture to restore"):
        server.run(graph.api)


def test_host_serves_the_help_page_of_every_node(server: Server) -> None:
    for node in (name for name in server.get("/object_info") if name.startswith("ReFLDM_")):
        answer = requests.get(f"{server.url}/extensions/{PACK_NAME}/docs/{node}.md", timeout=10)
        assert answer.ok, node
        assert len(answer.text) > 300, node
