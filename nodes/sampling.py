"""Restoring: everything in one node, or the pieces for the host's own samplers."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.diffusion.sampling import SamplerName, initial_noise
from ..refldm_core.diffusion.schedule import NoiseSpec, SamplingTable, Spacing, sampling_table
from ..refldm_core.face import types as face
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.tracking import face_seed
from ..refldm_core.model.variants import ModelSpec
from ..refldm_core.pipeline import ALL_TIMESTEPS, SamplingSettings
from ..refldm_core.presets import PRESETS
from . import host
from .crops import fit
from .face_types import Faces
from .images import require_images
from .types import References, ReferenceSet, schema

_CUSTOM = "custom"
_SPACINGS = ["trailing", "uniform"]
_DENOISE = "1 restores from pure noise, as published. Less starts from the picture's own latent with noise on it."


class Conditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "Conditioning",
            display_name="ReF-LDM Conditioning",
            description="Prepares a low-quality face and its references for ComfyUI's own samplers: KSampler, "
            "SamplerCustomAdvanced with CFGGuider, and so on. Positive and negative belong together.",
            search_aliases=["reference conditioning", "lq conditioning", "face restore conditioning"],
            inputs=[
                io.Vae.Input("vae", tooltip="From Load ReF-LDM Model."),
                io.Image.Input("image", tooltip="The faces to restore, as aligned crops of any size; one or a batch."),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="One person for all faces, or one for each. Without, the face is restored without knowing "
                    "the person.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The face and its references."),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The face and as many empty references, which guidance leads away from.",
                ),
                io.Latent.Output(display_name="latent", tooltip="Empty, of the right size, for denoise 1."),
            ],
        )

    @classmethod
    def execute(cls, vae: Any, image: Tensor, references: tuple[ReferenceSet, ...] = ()) -> io.NodeOutput:
        return io.NodeOutput(*host.conditioning(_encode(vae, image), references))


class Scheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "Scheduler",
            display_name="ReF-LDM Scheduler",
            description="The published noise levels for SamplerCustom and SamplerCustomAdvanced, with the published "
            "end. With the sampler ddim or euler and guidance 1.5 the result is the published one.",
            search_aliases=["refldm sigmas", "uniform trailing", "ddim schedule"],
            inputs=[
                io.Model.Input("model", tooltip="From Load ReF-LDM Model."),
                _steps_input(),
                _spacing_input(),
                _denoise_input("Less than 1 gives the last part of a longer schedule, for a latent that is not empty."),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas")],
        )

    @classmethod
    def execute(cls, model: Any, steps: int, scheduler: Spacing, denoise: float) -> io.NodeOutput:
        host.require_model(model)
        return io.NodeOutput(host.sigmas_of(model, _table(model.model.spec.noise, steps, scheduler, denoise)))


class GuidanceInterval(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "GuidanceInterval",
            display_name="ReF-LDM Guidance Interval",
            description="Guides in a part of sampling only; in the other steps the negative is not computed, which "
            "halves their work. For ReF-LDM Sampler and for stock samplers with one positive and one negative.",
            search_aliases=["limited guidance", "cfg range", "skip cfg", "skip uncond", "faster"],
            inputs=[
                io.Model.Input("model", tooltip="From Load ReF-LDM Model; any other works too."),
                _percent_input("start_percent", 0.0, "Where guidance begins: 0 is the first, noisiest step."),
                _percent_input("end_percent", 1.0, "Where it ends: 1 is the last, cleanest step."),
            ],
            outputs=[io.Model.Output(tooltip="The same weights, guided in that part alone.")],
        )

    @classmethod
    def execute(cls, model: Any, start_percent: float, end_percent: float) -> io.NodeOutput:
        return io.NodeOutput(host.guided_during(model, start_percent, end_percent))


class Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "Sampler",
            display_name="ReF-LDM Sampler",
            description="Restores faces with references of the same person. The defaults are the published settings.",
            search_aliases=[
                "face restoration",
                "restore face",
                "refldm",
                "ref-ldm",
                "reference restore",
                "deblur face",
            ],
            inputs=[
                io.Model.Input("model", tooltip="From Load ReF-LDM Model, with or without LoRA."),
                io.Vae.Input("vae", tooltip="From Load ReF-LDM Model."),
                io.Image.Input("image", tooltip="The faces to restore, as aligned crops of any size; one or a batch."),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="One person for all faces, or one for each. Without, the face is restored without knowing "
                    "the person, and without guidance.",
                ),
                io.Int.Input(
                    "seed",
                    default=2024,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Of the initial noise. Every crop of a batch starts from the same noise, so that it does "
                    "not matter which batch it is in; with faces connected, each face has its own. 2024 is published.",
                ),
                _steps_input(),
                io.Float.Input(
                    "cfg",
                    default=1.5,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Guidance: pull of the references. 1 is off: one prediction a step instead of two. 1.5 is "
                    "published.",
                ),
                io.Combo.Input(
                    "sampler",
                    options=["ddim", "dpmpp_2m"],
                    default="ddim",
                    tooltip="ddim is published; dpmpp_2m needs fewer steps, 20 for instance.",
                ),
                _spacing_input(),
                _denoise_input(_DENOISE),
                Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="Whose crops these are. Each face of a photo then gets noise of its own, and a face that "
                    "Detect Faces follows through a video the same noise in every frame.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *PRESETS],
                    default=_CUSTOM,
                    optional=True,
                    tooltip="custom takes steps, cfg, sampler and scheduler from above, the others set them: "
                    + "; ".join(f"{name}: {preset}" for name, preset in PRESETS.items())
                    + ".",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The restored faces, of the model's size."),
                io.Latent.Output(display_name="latent", tooltip="The same before decoding."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        model: Any,
        vae: Any,
        image: Tensor,
        seed: int,
        steps: int,
        cfg: float,
        sampler: SamplerName,
        scheduler: Spacing,
        denoise: float,
        references: tuple[ReferenceSet | None, ...] = (),
        faces: face.Faces | None = None,
        preset: str = _CUSTOM,
    ) -> io.NodeOutput:
        host.require_model(model)
        require_images(image, "image")
        settings = SamplingSettings(steps, sampler, scheduler, cfg) if preset == _CUSTOM else PRESETS[preset].settings
        if settings.guidance_interval != ALL_TIMESTEPS:
            model = host.guided_at_timesteps(model, settings.guidance_interval)
        seeds = [seed] * len(image) if faces is None else _seeds(seed, faces, len(image))
        if not seeds:
            return io.NodeOutput(*_nothing(host.require_vae(vae).refldm_spec))
        lq_latents = _encode(vae, image)
        conds = host.conditioning(lq_latents, references)
        table = _table(model.model.spec.noise, settings.steps, settings.spacing, denoise)
        whole = denoise >= 1.0
        noise, _ = initial_noise(seeds, (lq_latents.shape[1], lq_latents.shape[2], lq_latents.shape[3]))
        parts = host.parts_of(model, lq_latents.shape)
        done: list[Tensor] = []
        for part in parts:
            if len(parts) > 1:
                conds = host.conditioning(lq_latents[part], references[part] if len(references) > 1 else references)
            positive, negative, empty = conds
            done.append(
                host.sample(
                    model,
                    (positive, negative),
                    host.CoreSampler(settings.sampler, table, from_noise=whole),
                    latents=empty["samples"] if whole else lq_latents[part],
                    noise=noise[part],
                    cfg=settings.guidance,
                    seed=seed,
                )
            )
        latents = torch.cat(done)
        return io.NodeOutput(vae.decode(latents), {"samples": latents})


def _seeds(seed: int, faces: face.Faces, crops: int) -> list[int]:
    """One for each face, by its track in a video or else by its place among the faces of its picture."""
    if len(faces) != crops:
        raise FaceError(
            f"There are {crops} crops for {len(faces)} faces.",
            expected="one crop for each face, in their order",
            remedy="connect faces and crops from the same node",
        )
    return [face_seed(seed, one, faces.in_frame(one.frame).index(i)) for i, one in enumerate(faces.faces)]


def _nothing(spec: ModelSpec) -> tuple[Tensor, dict[str, Tensor]]:
    """No picture and no latent, of the right size."""
    side = spec.crop_size // spec.first_stage.downsampling
    return torch.zeros(0, spec.crop_size, spec.crop_size, 3), {
        "samples": torch.zeros(0, spec.first_stage.embed_dim, side, side)
    }


def _encode(vae: Any, image: Tensor) -> Tensor:
    vae = host.require_vae(vae)
    host.warn_of_training({"model": vae.refldm_metadata})
    return vae.encode(fit(image, vae.refldm_spec.crop_size, "image"))


def _table(noise: NoiseSpec, steps: int, spacing: Spacing, denoise: float) -> SamplingTable:
    """All steps, or the last `steps` of so many more that they are the part `denoise` of the whole."""
    if denoise >= 1.0:
        return sampling_table(noise, steps, spacing)
    whole = sampling_table(noise, min(int(steps / denoise), noise.timesteps), spacing)
    return SamplingTable(whole.timesteps[:steps], whole.alphas[:steps], whole.alphas_prev[:steps])


def _steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        default=50,
        min=1,
        max=1000,
        tooltip="50 is published. A number that does not divide 1000 gives a few more, as published.",
    )


def _spacing_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=_SPACINGS,
        default=_SPACINGS[0],
        tooltip="Which noise levels are visited. trailing is that of the published code, uniform that of the paper "
        "(10, 20, 25, 50 or 100 steps).",
    )


def _percent_input(name: str, default: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.001, tooltip=tooltip)


def _denoise_input(tooltip: str) -> io.Float.Input:
    return io.Float.Input("denoise", default=1.0, min=0.01, max=1.0, step=0.01, tooltip=tooltip)
