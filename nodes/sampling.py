"""The node that restores faces."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.diffusion.settings import ReferenceTokens, SamplerName, Spacing
from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.tracking import face_seed
from ..refldm_core.images import bhwc_to_model
from ..refldm_core.model.variants import ModelSpec
from ..refldm_core.pipeline import SamplingSettings
from ..refldm_core.presets import PRESETS, describe_presets
from ..refldm_core.temporal import TemporalSettings, steady_crops
from . import host
from .crops import fit
from .display import save_pictures
from .face_types import Faces
from .images import ModelPictures, to_images
from .restoring import sample_latents
from .sampling_inputs import (
    percent_input,
    reference_strength_input,
    reference_tokens_input,
    spacing_input,
    steadying_input,
    steps_input,
)
from .types import CATEGORY, References, ReferenceSet, where_supported

_CUSTOM = "custom"
_STRENGTH = (
    "Set how far the face may move from the picture, as the part of the noise levels that is sampled. 1 samples "
    "all of them, as published. A value below 1 starts from the picture's own latent with noise of that level. 0 "
    "leaves the picture as it is."
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
                io.Model.Input("model", tooltip="Connect the MODEL of Load ReF-LDM Model, with or without LoRA."),
                io.Vae.Input("vae", tooltip="Connect the VAE of Load ReF-LDM Model."),
                io.Image.Input(
                    "image", tooltip="Connect the faces to restore: aligned crops of any size, one or a batch."
                ),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="Connect one person for all faces, or one person for each face. Without references, faces "
                    "are restored without knowledge of the person and without guidance.",
                ),
                io.Int.Input(
                    "seed",
                    default=2024,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed for the initial noise. All crops of a batch use the same noise, so a result does not "
                    "depend on its batch. If faces is connected, each face has its own noise. 2024 is the published "
                    "value.",
                ),
                steps_input(),
                io.Float.Input(
                    "cfg",
                    default=1.5,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Set the guidance scale, the pull of the references. 1.5 is the published value. 1 "
                    "switches guidance off, so that each step makes one prediction instead of two.",
                ),
                io.Combo.Input(
                    "sampler",
                    options=["ddim", "dpmpp_2m"],
                    default="ddim",
                    tooltip="Choose the sampler. ddim is the published one. dpmpp_2m needs fewer steps, such as 20.",
                ),
                spacing_input(),
                # The id is denoise, as in stock samplers. Only the displayed name has changed to strength.
                percent_input("denoise", 1.0, _STRENGTH, step=0.01, display_name="strength"),
                Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="Connect the detected faces to which these crops belong. Each face of a photo then gets "
                    "its own noise. A face that Detect Faces follows through a video gets the same noise in every "
                    "frame.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *PRESETS],
                    default=_CUSTOM,
                    optional=True,
                    tooltip="Choose a preset. custom uses steps, cfg, sampler and scheduler as set above. The other "
                    f"presets replace these four: {describe_presets()}. touch-up replaces strength too. After a run, "
                    "the node shows the values of the preset.",
                ),
                reference_strength_input(),
                # Workflow files identify widgets by position, so new ones come last, and their default is off.
                steadying_input(
                    0.0,
                    "Restore a video with less flicker. Before restoring, each crop is averaged with the crops "
                    "of the same face in earlier frames, where the face is at rest. This is the weight of the earlier "
                    "frames. 0 is off, 0.5 is a good start. It needs faces of Detect Faces with video switched on.",
                    optional=True,
                ),
                reference_tokens_input(),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="Holds the restored faces in the model's size."),
                io.Latent.Output(display_name="latent", tooltip="Holds the restored faces before decoding."),
            ],
        )

    @classmethod
    def validate_inputs(cls, steadying: float | None = 0.0, faces: object = False) -> bool | str:
        try:
            # Before the run, a connected input is None, and an input without a connection is missing.
            _check_steadying(steadying or 0.0, has_faces=faces is None)
        except SettingsError as error:
            return str(error)
        return True

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
        steadying: float = 0.0,
        reference_tokens: ReferenceTokens = "all",
    ) -> io.NodeOutput:
        _check_steadying(steadying, has_faces=faces is not None)
        host.require_model(model)
        spec = host.require_vae(vae).refldm_spec
        crops = fit(image, spec.crop_size, "image")
        settings = _settings(preset, SamplingSettings(steps, sampler, scheduler, cfg, strength=denoise))
        notes = () if preset == _CUSTOM else (_preset_note(preset, settings),)
        seeds = [seed] * len(crops) if faces is None else _seeds_of_faces(seed, faces, len(crops))
        if not seeds:
            return _result(crops, _no_latents(spec), cls, notes)
        host.warn_of_training({"model": vae.refldm_metadata}, *notes)
        if faces is not None and steadying > 0.0 and settings.strength > 0.0:
            crops = _steady(crops, faces, TemporalSettings(steadying))
        lq_latents = vae.encode(crops)
        if settings.strength == 0.0:
            return _result(crops, lq_latents, cls, notes)
        latents = sample_latents(
            model,
            lq_latents,
            references,
            seeds,
            settings,
            seed=seed,
            reference_strength=reference_strength,
            tokens=reference_tokens,
        )
        return _result(vae.decode(latents), latents, cls, notes)


def _settings(preset: str, widgets: SamplingSettings) -> SamplingSettings:
    """Return the settings of a preset or of the widgets. A preset without a strength takes that of the widget."""
    if preset == _CUSTOM:
        return widgets
    settings = PRESETS[preset].settings
    return settings if settings.strength != 1.0 else replace(settings, strength=widgets.strength)


def _preset_note(preset: str, settings: SamplingSettings) -> str:
    """Return the line on the node that says which settings a preset uses."""
    spacing, sampler, steps = settings.spacing, settings.sampler, settings.steps
    strength = PRESETS[preset].settings.strength
    return (
        f"Preset {preset}: steps {steps}, cfg {settings.guidance:g}, sampler {sampler}, scheduler {spacing}"
        + (f", strength {strength:g}" if strength != 1.0 else "")
        + ". The widgets of these names have no effect."
    )


def _result(pictures: Tensor, latents: Tensor, cls: type[io.ComfyNode], notes: Sequence[str]) -> io.NodeOutput:
    """Return the node's output, which also shows the pictures (batch, height, width, 3) in [0, 1] with the notes."""
    display = {"images": save_pictures(ModelPictures(pictures), cls), "text": list(notes)}
    return io.NodeOutput(pictures, {"samples": latents}, ui=display)


def _seeds_of_faces(seed: int, faces: face.Faces, crops: int) -> list[int]:
    """Return a seed for each face: by its track in a video, or else by its place among the faces of its picture.

    Raises:
        FaceError: the number of crops is not the number of faces.
    """
    if len(faces) != crops:
        raise FaceError(
            f"There are {crops} crops for {len(faces)} faces.",
            expected="one crop for each face, in the same order",
            remedy="connect faces and crops from the same node",
        )
    return [face_seed(seed, item, faces.in_frame(item.frame).index(i)) for i, item in enumerate(faces.faces)]


def _check_steadying(steadying: float, *, has_faces: bool) -> None:
    """Raise SettingsError for a weight out of its range, and for one that needs faces where there are none."""
    if TemporalSettings(steadying).steadying > 0.0 and not has_faces:
        raise SettingsError(
            f"steadying is {steadying:g}, but faces is not connected.",
            expected="the faces of the crops, followed through a video",
            remedy="connect faces of Detect Faces or Match People, or set steadying to 0",
        )


def _steady(crops: Tensor, faces: face.Faces, temporal: TemporalSettings) -> Tensor:
    """Return crops (faces, size, size, 3) in [0, 1], each averaged with the earlier crops of its track.

    Raises:
        SettingsError: no face is followed through a video.
    """
    if all(item.track is None for item in faces.faces):
        raise SettingsError(
            f"steadying is {temporal.steadying:g}, but the faces are not followed through a video.",
            expected="the frames of a video as one batch, and faces with tracks",
            remedy="switch on video in Detect Faces, or set steadying to 0 for photos",
        )
    size = (crops.shape[1], crops.shape[2])
    return to_images(steady_crops(bhwc_to_model(crops), faces.faces, temporal), len(crops), size)


def _no_latents(spec: ModelSpec) -> Tensor:
    """Return an empty batch of latents (0, c, h, w) of the model's size."""
    return torch.zeros(0, spec.first_stage.embed_dim, spec.latent_size, spec.latent_size)
