"""The nodes that prepare sampling with the host's own samplers."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.diffusion.schedule import sampling_table
from ..refldm_core.diffusion.settings import ReferenceTokens, Spacing
from . import host
from .crops import fit
from .sampling_inputs import (
    percent_input,
    reference_strength_input,
    reference_tokens_input,
    spacing_input,
    steps_input,
)
from .types import CATEGORY, References, ReferenceSet, where_supported

_DENOISE = (
    "Set the part of the schedule to sample. A value below 1 gives the last part of a longer schedule, for a latent "
    "that is not empty."
)


class Conditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Conditioning",
            category=CATEGORY,
            display_name="ReF-LDM Conditioning",
            description="Prepares a low-quality face and its references for ComfyUI's own samplers, such as KSampler, "
            "and SamplerCustomAdvanced with CFGGuider. Always use positive and negative together.",
            **where_supported(
                search_aliases=["reference conditioning", "lq conditioning", "face restore conditioning"]
            ),
            inputs=[
                io.Vae.Input("vae", tooltip="Connect the VAE of Load ReF-LDM Model."),
                io.Image.Input(
                    "image", tooltip="Connect the faces to restore: aligned crops of any size, one or a batch."
                ),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="Connect one person for all faces, or one person for each face. Without references, faces "
                    "are restored without knowledge of the person.",
                ),
                reference_strength_input(),
                reference_tokens_input(),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="Holds the face and its references."),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="Holds the face and as many empty references. Guidance leads away from it.",
                ),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="Holds the latent from which a sampler with denoise 1 starts. For the official model it is "
                    "empty.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        image: Tensor,
        references: tuple[ReferenceSet, ...] = (),
        reference_strength: float = 1.0,
        reference_tokens: ReferenceTokens = "all",
    ) -> io.NodeOutput:
        spec = host.require_vae(vae).refldm_spec
        crops = fit(image, spec.crop_size, "image")
        host.warn_of_training({"model": vae.refldm_metadata})
        from_noise = spec.noise.starts_from_noise
        return io.NodeOutput(
            *host.build_conditioning(
                vae.encode(crops), references, reference_strength, tokens=reference_tokens, from_noise=from_noise
            )
        )


class Scheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Scheduler",
            category=CATEGORY,
            display_name="ReF-LDM Scheduler",
            description="Makes the published noise levels, with the published end, for SamplerCustom and "
            "SamplerCustomAdvanced. With the sampler ddim or euler and guidance 1.5, the result is as published.",
            **where_supported(search_aliases=["refldm sigmas", "uniform trailing", "ddim schedule"]),
            inputs=[
                io.Model.Input("model", tooltip="Connect the MODEL of Load ReF-LDM Model."),
                steps_input(),
                spacing_input(),
                percent_input("denoise", 1.0, _DENOISE, low=0.01, step=0.01),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="Holds the noise levels, the noisiest first.")],
        )

    @classmethod
    def execute(cls, model: Any, steps: int, scheduler: Spacing, denoise: float) -> io.NodeOutput:
        host.require_model(model)
        return io.NodeOutput(host.sigmas_of(model, sampling_table(model.model.spec.noise, steps, scheduler, denoise)))


class GuidanceInterval(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_GuidanceInterval",
            category=CATEGORY,
            display_name="ReF-LDM Guidance Interval",
            description="Guides in a part of sampling only. In the other steps the negative is not computed, which "
            "halves their work. It works with ReF-LDM Sampler, and with stock samplers that take one positive and one "
            "negative.",
            **where_supported(search_aliases=["limited guidance", "cfg range", "skip cfg", "skip uncond", "faster"]),
            inputs=[
                io.Model.Input("model", tooltip="Connect Load ReF-LDM Model. A model of another kind works too."),
                percent_input("start_percent", 0.0, "Set where guidance begins: 0 is the first, noisiest step."),
                percent_input("end_percent", 1.0, "Set where guidance ends: 1 is the last, cleanest step."),
            ],
            outputs=[io.Model.Output(tooltip="Holds the same model, guided in that part only.")],
        )

    @classmethod
    def execute(cls, model: Any, start_percent: float, end_percent: float) -> io.NodeOutput:
        return io.NodeOutput(host.limit_guidance_to_part(model, start_percent, end_percent))
