"""Restoring in one node."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.diffusion.sampling import SamplerName, initial_noise
from ..refldm_core.diffusion.schedule import Spacing, sampling_table
from ..refldm_core.face import types as face
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.tracking import face_seed
from ..refldm_core.images import bhwc_to_model
from ..refldm_core.model.variants import ModelSpec
from ..refldm_core.pipeline import ALL_TIMESTEPS, SamplingSettings
from ..refldm_core.presets import PRESETS
from . import host
from .crops import fit
from .display import MOST_SHOWN, save_pictures
from .face_types import Faces
from .sampling_inputs import percent_input, reference_strength_input, spacing_input, steps_input
from .types import CATEGORY, References, ReferenceSet, where_supported

_CUSTOM = "custom"
_STRENGTH = (
    "Set how far the face may move from the picture: the part of the noise levels that is sampled. 1 starts from noise "
    "alone, as published. Less starts from the picture's own latent with noise of that level on it. 0 leaves the "
    "picture as it is."
)


class Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Sampler",
            category=CATEGORY,
            display_name="ReF-LDM Sampler",
            description="Restores faces with references of the same person. The defaults are the published settings.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=[
                    "face restoration",
                    "restore face",
                    "refldm",
                    "ref-ldm",
                    "reference restore",
                    "deblur face",
                ],
            ),
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
                    tooltip="Seed for the initial noise. All crops of a batch use the same noise, so a result does not "
                    "depend on its batch. With faces connected, each face has noise of its own. 2024 is published.",
                ),
                steps_input(),
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
                spacing_input(),
                # Stock samplers call it denoise, and so did this node before it was shown as strength.
                percent_input("denoise", 1.0, _STRENGTH, step=0.01, display_name="strength"),
                Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="Connect the detected faces that these crops were cut from. Each face of a photo then gets "
                    "noise of its own, and a face that Detect Faces follows through a video gets the same noise in "
                    "every frame.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *PRESETS],
                    default=_CUSTOM,
                    optional=True,
                    tooltip="custom takes steps, cfg, sampler and scheduler from above, the others set them: "
                    + "; ".join(f"{name}: {preset}" for name, preset in PRESETS.items())
                    + ". The node then shows the values that count.",
                ),
                reference_strength_input(),
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
        reference_strength: float = 1.0,
    ) -> io.NodeOutput:
        host.require_model(model)
        spec = host.require_vae(vae).refldm_spec
        crops = fit(image, spec.crop_size, "image")
        settings = SamplingSettings(steps, sampler, scheduler, cfg) if preset == _CUSTOM else PRESETS[preset].settings
        notes = () if preset == _CUSTOM else (_in_words(preset, settings),)
        if settings.guidance_interval != ALL_TIMESTEPS:
            model = host.limit_guidance_to_timesteps(model, settings.guidance_interval)
        seeds = [seed] * len(crops) if faces is None else _seeds(seed, faces, len(crops))
        if not seeds:
            return _result(crops, _no_latents(spec), cls, notes)
        host.warn_of_training({"model": vae.refldm_metadata}, *notes)
        lq_latents = vae.encode(crops)
        if denoise == 0.0:
            return _result(crops, lq_latents, cls, notes)
        conds = host.build_conditioning(lq_latents, references, reference_strength)
        table = sampling_table(model.model.spec.noise, settings.steps, settings.spacing, denoise)
        whole = denoise >= 1.0
        noise, _ = initial_noise(seeds, (lq_latents.shape[1], lq_latents.shape[2], lq_latents.shape[3]))
        parts = host.split_by_memory(model, lq_latents.shape)
        done: list[Tensor] = []
        for number, part in enumerate(parts):
            if len(parts) > 1:
                people = references[part] if len(references) > 1 else references
                conds = host.build_conditioning(lq_latents[part], people, reference_strength)
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
                    part=(number, len(parts)),
                )
            )
        latents = torch.cat(done)
        return _result(vae.decode(latents), latents, cls, notes)


def _in_words(preset: str, settings: SamplingSettings) -> str:
    """What a preset samples with, for the node."""
    spacing, sampler, steps = settings.spacing, settings.sampler, settings.steps
    return (
        f"Preset {preset}: steps {steps}, cfg {settings.guidance:g}, sampler {sampler}, scheduler {spacing}. "
        "The widgets of these names do not count."
    )


def _result(pictures: Tensor, latents: Tensor, cls: type[io.ComfyNode], notes: Sequence[str]) -> io.NodeOutput:
    """The node's result for pictures (batch, height, width, 3) in [0, 1], which it also shows, with notes."""
    shown = {"images": save_pictures(bhwc_to_model(pictures[:MOST_SHOWN]), cls), "text": list(notes)}
    return io.NodeOutput(pictures, {"samples": latents}, ui=shown)


def _seeds(seed: int, faces: face.Faces, crops: int) -> list[int]:
    """One for each face, by its track in a video or else by its place among the faces of its picture."""
    if len(faces) != crops:
        raise FaceError(
            f"There are {crops} crops for {len(faces)} faces.",
            expected="one crop for each face, in their order",
            remedy="connect faces and crops from the same node",
        )
    return [face_seed(seed, item, faces.in_frame(item.frame).index(i)) for i, item in enumerate(faces.faces)]


def _no_latents(spec: ModelSpec) -> Tensor:
    """(0, c, h, w) of the model's size."""
    return torch.zeros(0, spec.first_stage.embed_dim, spec.latent_size, spec.latent_size)
