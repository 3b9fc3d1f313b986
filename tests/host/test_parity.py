"""The same picture from every way through the host and from the core alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from refldm_core.model.precision import has_fast_bfloat16
from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import Server
from .graphs import REFERENCES, Graph, conditioned_graph, restoration_graph
from .oracle import assert_same, final_latents, mean_difference, restore

Pictures = dict[str, Tensor]

SHORT = SamplingSettings(steps=10)


def references(pictures: Pictures) -> list[Tensor]:
    return [pictures[name] for name in REFERENCES]


def test_sampler_with_the_published_settings_equals_refldm_restore(
    server: Server, core: Restorer, pictures: Pictures
) -> None:
    restored = server.pictures(restoration_graph().api)[0]
    assert_same(restored, restore(core, pictures["face.png"], references(pictures)))


def test_auto_dtype_is_the_fast_type_of_the_processor(server: Server, core: Restorer, pictures: Pictures) -> None:
    seen = len(server.log)
    restored = server.pictures(restoration_graph(dtype="auto", steps=10).api)[0].astype(int)
    dtype = "bfloat16" if has_fast_bfloat16() else "float32"
    assert f"model weight dtype torch.{dtype}, manual cast: None" in server.log[seen:]
    expected = restore(core, pictures["face.png"], references(pictures), SHORT)
    assert (abs(restored - expected) <= 40).mean() > 0.6  # random weights magnify rounding


@pytest.mark.parametrize(
    ("node", "settings"),
    [
        ({"steps": 7}, SamplingSettings(steps=7)),
        ({"steps": 10, "scheduler": "uniform"}, SamplingSettings(steps=10, spacing="uniform")),
        ({"steps": 12, "sampler": "dpmpp_2m"}, SamplingSettings(steps=12, sampler="dpmpp_2m")),
        ({"steps": 10, "cfg": 1.0}, SamplingSettings(steps=10, guidance=1.0)),
        ({"steps": 10, "cfg": 4.0}, SamplingSettings(steps=10, guidance=4.0)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_sampler_settings_mean_the_same_as_in_the_core(
    server: Server, core: Restorer, pictures: Pictures, node: dict[str, Any], settings: SamplingSettings
) -> None:
    restored = server.pictures(restoration_graph(**node).api)[0]
    assert_same(restored, restore(core, pictures["face.png"], references(pictures), settings))


@pytest.mark.parametrize("sampler", ["ddim", "euler"])
def test_stock_samplers_with_our_sigmas_equal_refldm_restore(
    server: Server, core: Restorer, pictures: Pictures, sampler: str
) -> None:
    """SamplerCustom, and SamplerCustomAdvanced with CFGGuider and RandomNoise."""
    graph, model, vae, _, conditioning = conditioned_graph()
    select = graph.add("KSamplerSelect", sampler_name=sampler)
    sigmas = graph.add("ReFLDM_Scheduler", model=model, steps=10, scheduler="trailing", denoise=1.0)
    custom = graph.add(
        "SamplerCustom",
        model=model,
        add_noise=True,
        noise_seed=2024,
        cfg=1.5,
        positive=conditioning[0],
        negative=conditioning[1],
        sampler=select[0],
        sigmas=sigmas[0],
        latent_image=conditioning[2],
    )
    guider = graph.add("CFGGuider", model=model, positive=conditioning[0], negative=conditioning[1], cfg=1.5)
    noise = graph.add("RandomNoise", noise_seed=2024)
    advanced = graph.add(
        "SamplerCustomAdvanced",
        noise=noise[0],
        guider=guider[0],
        sampler=select[0],
        sigmas=sigmas[0],
        latent_image=conditioning[2],
    )
    graph.decode(custom[0], vae)
    graph.decode(advanced[0], vae)
    expected = restore(core, pictures["face.png"], references(pictures), SHORT)
    for restored in server.pictures(graph.api):
        assert_same(restored, expected)


@pytest.mark.parametrize("sampler", ["ddim", "euler"])
@pytest.mark.parametrize("steps", [10, 50])
def test_stock_ksampler_differs_by_its_last_step_alone(  # noqa: PLR0917
    server: Server, base: Path, core: Restorer, pictures: Pictures, sampler: str, steps: int
) -> None:
    """KSampler ends at sigma 0 with the clean latent that the last step predicts. The published end keeps a trace of
    noise.

    This is the only difference before decoding.
    """
    graph, model, vae, _, conditioning = conditioned_graph()
    samples = graph.ksampler(model, conditioning, sampler_name=sampler, steps=steps)
    graph.decode(samples, vae)
    graph.add("SaveLatent", samples=samples, filename_prefix=f"end_{sampler}_{steps}")
    restored = server.pictures(graph.api)[0]
    latent = load_file(next((base / "output").glob(f"end_{sampler}_{steps}*.latent")))["latent_tensor"]
    settings = SamplingSettings(steps=steps)
    end, clean = final_latents(core, pictures["face.png"], references(pictures), settings)
    rms = end.square().mean().sqrt()
    assert (latent - clean).abs().max() / rms < 1e-3
    assert 1e-4 < (latent - end).square().mean().sqrt() / rms < 0.02
    decoded = core.decode(clean).clamp(-1.0, 1.0)
    assert_same(restored, ((decoded[0].movedim(0, -1) + 1.0) / 2.0 * 255.0).to(torch.uint8).numpy())


def test_restores_without_references(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), steps=10)[0])
    restored = server.pictures(graph.api)[0]
    assert_same(restored, restore(core, pictures["face.png"], (), SHORT))


def test_joint_and_separate_encoding_equal_the_core(server: Server, core: Restorer, pictures: Pictures) -> None:
    graph = Graph()
    model = graph.load_model()
    separate = graph.encode(model[0], model[1], *REFERENCES, encoding="separate")
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), separate, steps=10)[0])
    restored = server.pictures(graph.api)[0]
    face, photos = pictures["face.png"], references(pictures)
    assert_same(restored, restore(core, face, photos, SHORT, "separate"))
    assert mean_difference(restored, restore(core, face, photos, SHORT, "joint")) > 1.0


def test_a_picture_of_another_size_is_resized_as_published(
    server: Server, base: Path, core: Restorer, pictures: Pictures
) -> None:
    from refldm_core.images import load_image, to_tensor

    large = load_image(base / "input" / "face.png").resize((200, 170))
    large.save(base / "input" / "other_size.png")
    graph = Graph()
    model = graph.load_model()
    encoded = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(model[0], model[1], graph.image("other_size.png"), encoded, steps=10)[0])
    restored = server.pictures(graph.api)[0]
    assert_same(restored, restore(core, to_tensor(large, 128), references(pictures), SHORT))
