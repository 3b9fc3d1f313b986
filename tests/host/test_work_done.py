"""Count how often the networks run in a host, and check that no stale keys and values are used."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import PromptError, Server
from .content import lora_weights
from .graphs import REFERENCES, Graph, Link, conditioned_graph, restoration_graph
from .oracle import assert_same, mean_difference, restore, with_lora

Pictures = dict[str, Tensor]

SHORT = SamplingSettings(steps=10)


def reset(server: Server) -> None:
    """Empty the host's cache, and set the counts to zero."""
    server.free()
    server.probe()


def network_calls(counts: dict[str, Any]) -> dict[str, int]:
    return {name: counts[name] for name in ("unet", "references", "null")}


def test_each_step_makes_one_unet_call_and_references_are_encoded_once(server: Server) -> None:
    reset(server)
    server.run(restoration_graph(steps=10).api)
    counts = server.probe()
    assert network_calls(counts) == {"unet": 10, "references": 1, "null": 1}
    assert set(counts["batches"]) == {2}, "cond and uncond run as one batch"
    server.run(restoration_graph(steps=10, seed=7).api)
    assert network_calls(server.probe()) == {"unet": 10, "references": 0, "null": 0}, "the host keeps the references"
    server.run(restoration_graph(steps=10, seed=7).api)
    assert network_calls(server.probe()) == {"unet": 0, "references": 0, "null": 0}, "nothing changed, nothing runs"
    server.run(restoration_graph(steps=10, cfg=1.0).api)
    counts = server.probe()
    assert set(counts["batches"]) == {1}, "without guidance one branch runs"


def test_stock_ksampler_runs_both_branches_as_one_batch(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    graph.decode(graph.ksampler(model, conditioning, steps=10, seed=11), vae)
    server.probe()
    server.run(graph.api)
    counts = server.probe()
    assert counts["unet"] == 10
    assert set(counts["batches"]) == {2}


def test_unequal_reference_counts_run_as_one_batch(server: Server) -> None:
    graph, model, vae, _, conditioning = conditioned_graph()
    fewer = graph.encode(model, vae, "reference_1.png")
    one_reference = graph.add("ReFLDM_Conditioning", vae=vae, image=graph.image("face.png"), references=fewer)
    combined = graph.add("ConditioningCombine", conditioning_1=conditioning[0], conditioning_2=one_reference[0])
    graph.decode(graph.ksampler(model, conditioning, positive=combined[0], steps=4), vae)
    server.probe()
    server.run(graph.api)
    counts = server.probe()
    assert counts["unet"] == 4
    assert set(counts["batches"]) == {3}


def lora_graph(strength: float, *, references_too: bool = True) -> Graph:
    """Return a graph that samples with a LoRA, which by default also reaches the references."""
    graph = Graph()
    model = graph.load_model()
    lora = graph.add("LoraLoaderModelOnly", model=model[0], lora_name="lora.safetensors", strength_model=strength)
    encoded = graph.encode(lora[0] if references_too else model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(lora[0], model[1], graph.image("face.png"), encoded, steps=10)[0])
    return graph


def test_changed_lora_encodes_the_references_once_more(server: Server, core: Restorer, pictures: Pictures) -> None:
    face, photos = pictures["face.png"], [pictures[name] for name in REFERENCES]
    reset(server)
    server.run(restoration_graph(steps=10).api)
    server.probe()
    plain = restore(core, face, photos, SHORT)
    for strength in (0.8, 0.4):
        restored = server.pictures(lora_graph(strength).api)[0]
        assert network_calls(server.probe()) == {"unet": 10, "references": 1, "null": 1}
        assert_same(restored, restore(with_lora(core, lora_weights(), strength), face, photos, SHORT))
        assert mean_difference(restored, plain) > 1.0, "the LoRA has an effect"
    assert_same(server.pictures(restoration_graph(steps=10, seed=2024).api)[0], plain)


def test_references_without_the_lora_are_rebuilt(server: Server, core: Restorer, pictures: Pictures) -> None:
    """The LoRA comes after Encode References, so the keys and values from before it would be stale."""
    restored = server.pictures(lora_graph(0.6, references_too=False).api)[0]
    counts = server.probe()
    assert counts["references"] in (1, 2), counts
    photos = [pictures[name] for name in REFERENCES]
    assert_same(restored, restore(with_lora(core, lora_weights(), 0.6), pictures["face.png"], photos, SHORT))


def test_batch_items_are_independent(server: Server, core: Restorer, pictures: Pictures) -> None:
    """Two faces use the same references, in one U-Net call for each step."""
    graph = Graph()
    model = graph.load_model()
    encoded = graph.encode(model[0], model[1], *REFERENCES)
    faces = graph.image("face.png", "reference_1.png")
    graph.save(graph.sampler(model[0], model[1], faces, encoded, steps=10)[0])
    server.probe()
    restored = server.pictures(graph.api)
    counts = server.probe()
    assert counts["unet"] == 10
    assert set(counts["batches"]) == {4}
    photos = [pictures[name] for name in REFERENCES]
    for picture, name in zip(restored, ("face.png", "reference_1.png"), strict=True):
        assert_same(picture, restore(core, pictures[name], photos, SHORT))


def batch_two_people(graph: Graph, model: Link, vae: Link) -> Link:
    """Add three references for the first face and one for the second."""
    return graph.add(
        "ReFLDM_BatchReferences",
        references_1=graph.encode(model, vae, *REFERENCES),
        references_2=graph.encode(model, vae, "reference_2.png"),
    )[0]


def test_batch_items_use_their_own_references(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    people = batch_two_people(graph, model[0], model[1])
    faces = graph.image("face.png", "reference_1.png")
    graph.save(graph.sampler(model[0], model[1], faces, people, steps=10)[0])
    server.probe()
    first, second = server.pictures(graph.api)
    assert server.probe()["unet"] == 10
    assert_same(first, restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], SHORT))
    assert_same(second, restore(core, pictures["reference_1.png"], [pictures["reference_2.png"]], SHORT))


def test_repeated_latents_use_the_references_of_their_picture(server: Server) -> None:
    """After RepeatLatentBatch the host uses the pictures 0, 0, 1, 1 for four latents. The references must match."""
    graph = Graph()
    model = graph.load_model()
    people = batch_two_people(graph, model[0], model[1])
    faces = graph.image("face.png", "reference_1.png")
    conditioning = graph.add("ReFLDM_Conditioning", vae=model[1], image=faces, references=people)
    latents = graph.add("RepeatLatentBatch", samples=conditioning[2], amount=2)
    settings = {"steps": 4, "denoise": 1.0}
    graph.decode(graph.ksampler(model[0], conditioning, latent_image=latents[0], **settings), model[1])
    restored = server.pictures(graph.api)
    for face, names, start in (("face.png", REFERENCES, 0), ("reference_1.png", ("reference_2.png",), 2)):
        graph = Graph()
        model = graph.load_model()
        encoded = graph.encode(model[0], model[1], *names)
        conditioning = graph.add("ReFLDM_Conditioning", vae=model[1], image=graph.image(face), references=encoded)
        latents = graph.add("RepeatLatentBatch", samples=conditioning[2], amount=4)
        graph.decode(graph.ksampler(model[0], conditioning, latent_image=latents[0], **settings), model[1])
        expected = server.pictures(graph.api)
        for i in (start, start + 1):
            assert_same(restored[i], expected[i])


def test_wrong_number_of_people_is_refused(server: Server) -> None:
    graph = Graph()
    model = graph.load_model()
    people = batch_two_people(graph, model[0], model[1])
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), people, steps=4)[0])
    with pytest.raises(PromptError, match="2 people were given for 1 pictures"):
        server.run(graph.api)
