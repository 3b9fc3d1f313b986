"""How often the networks run, and that nothing stale is used: counted in the running host."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import Server
from .conftest import lora_weights
from .graphs import REFERENCES, Graph, Link, prepared, restoring
from .oracle import assert_same, differ, restore, with_lora

Pictures = dict[str, Tensor]

SHORT = SamplingSettings(steps=10)


def fresh(server: Server) -> None:
    """Empty the host's cache and its counts."""
    server.free()
    server.probe()


def work(told: dict[str, Any]) -> dict[str, int]:
    return {name: told[name] for name in ("unet", "references", "null")}


def test_one_call_a_step_and_one_reference_pass(server: Server) -> None:
    fresh(server)
    server.run(restoring(steps=10).api)
    told = server.probe()
    assert work(told) == {"unet": 10, "references": 1, "null": 1}
    assert set(told["batches"]) == {2}, "cond and uncond run as one batch"
    server.run(restoring(steps=10, seed=7).api)
    assert work(server.probe()) == {"unet": 10, "references": 0, "null": 0}, "the host kept the references"
    server.run(restoring(steps=10, seed=7).api)
    assert work(server.probe()) == {"unet": 0, "references": 0, "null": 0}, "nothing changed, nothing runs"
    server.run(restoring(steps=10, cfg=1.0).api)
    told = server.probe()
    assert set(told["batches"]) == {1}, "without guidance one branch runs"


def test_stock_ksampler_batches_too(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()
    graph.decode(graph.ksampler(model, conditioning, steps=10, seed=11), vae)
    server.probe()
    server.run(graph.api)
    told = server.probe()
    assert told["unet"] == 10
    assert set(told["batches"]) == {2}


def test_unequal_numbers_of_references_still_run_as_one_batch(server: Server) -> None:
    graph, model, vae, _, conditioning = prepared()
    fewer = graph.encode(model, vae, "reference_1.png")
    other = graph.add("ReFLDM_Conditioning", vae=vae, image=graph.image("face.png"), references=fewer)
    both = graph.add("ConditioningCombine", conditioning_1=conditioning[0], conditioning_2=other[0])
    graph.decode(graph.ksampler(model, conditioning, positive=both[0], steps=4), vae)
    server.probe()
    server.run(graph.api)
    told = server.probe()
    assert told["unet"] == 4
    assert set(told["batches"]) == {3}


def with_lora_graph(strength: float, *, references_too: bool = True) -> Graph:
    graph = Graph()
    model = graph.load_model()
    lora = graph.add("LoraLoaderModelOnly", model=model[0], lora_name="lora.safetensors", strength_model=strength)
    encoded = graph.encode(lora[0] if references_too else model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(lora[0], model[1], graph.image("face.png"), encoded, steps=10)[0])
    return graph


def test_a_lora_reaches_references_too_and_a_changed_one_makes_one_pass(
    server: Server, core: Restorer, pictures: Pictures
) -> None:
    face, photos = pictures["face.png"], [pictures[name] for name in REFERENCES]
    fresh(server)
    server.run(restoring(steps=10).api)
    server.probe()
    plain = restore(core, face, photos, SHORT)
    for strength in (0.8, 0.4):
        ours = server.pictures(with_lora_graph(strength).api)[0]
        assert work(server.probe()) == {"unet": 10, "references": 1, "null": 1}
        assert_same(ours, restore(with_lora(core, lora_weights(), strength), face, photos, SHORT))
        assert differ(ours, plain) > 1.0, "the LoRA does something"
    assert_same(server.pictures(restoring(steps=10, seed=2024).api)[0], plain)


def test_references_of_another_lora_are_built_again(server: Server, core: Restorer, pictures: Pictures) -> None:
    """The LoRA sits between EncodeReferences and the sampler: keys and values without it would be stale."""
    ours = server.pictures(with_lora_graph(0.6, references_too=False).api)[0]
    told = server.probe()
    assert told["references"] == 1 or told["references"] == 2, told
    photos = [pictures[name] for name in REFERENCES]
    assert_same(ours, restore(with_lora(core, lora_weights(), 0.6), pictures["face.png"], photos, SHORT))


def test_a_batch_is_each_face_alone(server: Server, core: Restorer, pictures: Pictures) -> None:
    """One person for two faces, in one call a step."""
    graph = Graph()
    model = graph.load_model()
    encoded = graph.encode(model[0], model[1], *REFERENCES)
    faces = graph.image("face.png", "reference_1.png")
    graph.save(graph.sampler(model[0], model[1], faces, encoded, steps=10)[0])
    server.probe()
    ours = server.pictures(graph.api)
    told = server.probe()
    assert told["unet"] == 10
    assert set(told["batches"]) == {4}
    photos = [pictures[name] for name in REFERENCES]
    for picture, name in zip(ours, ("face.png", "reference_1.png"), strict=True):
        assert_same(picture, restore(core, pictures[name], photos, SHORT))


def one_person_each(graph: Graph, model: Link, vae: Link) -> Link:
    """Three references for the first face, one for the second."""
    return graph.add(
        "ReFLDM_BatchReferences",
        references_1=graph.encode(model, vae, *REFERENCES),
        references_2=graph.encode(model, vae, "reference_2.png"),
    )[0]


def test_a_batch_with_a_person_each(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    people = one_person_each(graph, model[0], model[1])
    faces = graph.image("face.png", "reference_1.png")
    graph.save(graph.sampler(model[0], model[1], faces, people, steps=10)[0])
    server.probe()
    first, second = server.pictures(graph.api)
    assert server.probe()["unet"] == 10
    assert_same(first, restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], SHORT))
    assert_same(second, restore(core, pictures["reference_1.png"], [pictures["reference_2.png"]], SHORT))


def test_more_latents_than_pictures_keep_each_person_with_their_picture(server: Server) -> None:
    """RepeatLatentBatch: the host spreads two pictures over four latents as 0, 0, 1, 1; the people must follow."""
    graph = Graph()
    model = graph.load_model()
    people = one_person_each(graph, model[0], model[1])
    faces = graph.image("face.png", "reference_1.png")
    conditioning = graph.add("ReFLDM_Conditioning", vae=model[1], image=faces, references=people)
    four = graph.add("RepeatLatentBatch", samples=conditioning[2], amount=2)
    settings = {"steps": 4, "denoise": 1.0}
    graph.decode(graph.ksampler(model[0], conditioning, latent_image=four[0], **settings), model[1])
    ours = server.pictures(graph.api)
    for face, names, start in (("face.png", REFERENCES, 0), ("reference_1.png", ("reference_2.png",), 2)):
        alone = Graph()
        model = alone.load_model()
        encoded = alone.encode(model[0], model[1], *names)
        conditioning = alone.add("ReFLDM_Conditioning", vae=model[1], image=alone.image(face), references=encoded)
        four = alone.add("RepeatLatentBatch", samples=conditioning[2], amount=4)
        alone.decode(alone.ksampler(model[0], conditioning, latent_image=four[0], **settings), model[1])
        expected = server.pictures(alone.api)
        for i in (start, start + 1):
            assert_same(ours[i], expected[i])


def test_a_wrong_number_of_people_is_refused(server: Server) -> None:
    from .comfy import PromptError

    graph = Graph()
    model = graph.load_model()
    people = one_person_each(graph, model[0], model[1])
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), people, steps=4)[0])
    with pytest.raises(PromptError, match="2 people were given for 1 pictures"):
        server.run(graph.api)
