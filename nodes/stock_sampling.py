"""The pieces of restoring for the host's own samplers."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.diffusion.schedule import Spacing, sampling_table
from . import host
from .crops import fit
from .sampling_inputs import percent_input, reference_strength_input, spacing_input, steps_input
from .types import CATEGORY, References, ReferenceSet, where_supported

_SCHEDULER_DENOISE = "Less than 1 gives the last part of a longer schedule, for a latent that is not empty."


class Conditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Conditioning",
            category=CATEGORY,
            display_name="ReF-LDM Conditioning",
            description="Prepares a low-quality face and its references for ComfyUI's own samplers: KSampler, "
            "SamplerCustomAdvanced with CFGGuider, and so on. Positive and negative belong together.",
            **where_supported(
                search_aliases=["reference conditioning", "lq conditioning", "face restore conditioning"]
            ),
            inputs=[
                io.Vae.Input("vae", tooltip="From Load ReF-LDM Model."),
                io.Image.Input("image", tooltip="The faces to restore, as aligned crops of any size; one or a batch."),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="One person for all faces, or one for each. Without, the face is restored without knowing "
                    "the person.",
                ),
                reference_strength_input(),
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
    def execute(
        cls, vae: Any, image: Tensor, references: tuple[ReferenceSet, ...] = (), reference_strength: float = 1.0
    ) -> io.NodeOutput:
        crops = fit(image, host.require_vae(vae).refldm_spec.crop_size, "image")
        host.warn_of_training({"model": vae.refldm_metadata})
        return io.NodeOutput(*host.build_conditioning(vae.encode(crops), references, reference_strength))


class Scheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Scheduler",
            category=CATEGORY,
            display_name="ReF-LDM Scheduler",
            description="The published noise levels for SamplerCustom and SamplerCustomAdvanced, with the published "
            "end. With the sampler ddim or euler and guidance 1.5 the result is the published one.",
            **where_supported(search_aliases=["refldm sigmas", "uniform trailing", "ddim schedule"]),
            inputs=[
                io.Model.Input("model", tooltip="From Load ReF-LDM Model."),
                steps_input(),
                spacing_input(),
                percent_input("denoise", 1.0, _SCHEDULER_DENOISE, low=0.01, step=0.01),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas")],
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
            description="Guides in a part of sampling only; in the other steps the negative is not computed, which "
            "halves their work. For ReF-LDM Sampler and for stock samplers with one positive and one negative.",
            **where_supported(search_aliases=["limited guidance", "cfg range", "skip cfg", "skip uncond", "faster"]),
            inputs=[
                io.Model.Input("model", tooltip="From Load ReF-LDM Model; any other works too."),
                percent_input("start_percent", 0.0, "Where guidance begins: 0 is the first, noisiest step."),
                percent_input("end_percent", 1.0, "Where it ends: 1 is the last, cleanest step."),
            ],
            outputs=[io.Model.Output(tooltip="The same weights, guided in that part alone.")],
        )

    @classmethod
    def execute(cls, model: Any, start_percent: float, end_percent: float) -> io.NodeOutput:
        return io.NodeOutput(host.limit_guidance_to_part(model, start_percent, end_percent))
