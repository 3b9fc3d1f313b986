"""The node that loads the model: the diffusion model and its first stage."""
# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..refldm_core import embedded
from ..refldm_core.checkpoints.official import LICENSE, OFFICIAL
from ..refldm_core.errors import CheckpointError
from . import host
from .types import CATEGORY, where_supported

_INSIDE = "(inside the checkpoint)"
_AUTO = "auto"


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        files = host.files_in(host.MODELS)
        return io.Schema(
            node_id="ReFLDM_LoadModel",
            category=CATEGORY,
            display_name="Load ReF-LDM Model",
            description="Loads ReF-LDM: the diffusion model as MODEL and its first stage as VAE. The files must be in "
            "the "
            "model folder refldm. The node downloads nothing. This pack comes with a small model for rendered people.",
            **where_supported(
                search_aliases=["refldm loader", "face restoration model", "reference face restore", "load refldm"]
            ),
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=[*files, embedded.NAME],
                    default="refldm.ckpt" if "refldm.ckpt" in files else None,  # pyright: ignore[reportArgumentType]
                    tooltip="Choose the file with the diffusion model (U-Net) in the model folder refldm: the official "
                    "refldm.ckpt, or a .safetensors file that `refldm convert` wrote. embedded is a small model that "
                    "comes with this pack and knows rendered people only.",
                ),
                io.Combo.Input(
                    "first_stage",
                    options=[_INSIDE, *files],
                    default=_INSIDE,
                    tooltip="Choose the file with the first stage (VQGAN). The official checkpoint contains it. Choose "
                    "vqgan.ckpt for a checkpoint without it.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=[_AUTO, *host.DTYPES],
                    default=_AUTO,
                    tooltip="Number type of the diffusion model. auto leaves the choice to ComfyUI and its start "
                    "flags, "
                    "except on a CPU with bfloat16 instructions, where it is bfloat16. float32 repeats the published "
                    "results most exactly. The VAE is float32 unless a start flag such as --bf16-vae says otherwise.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="Connect it to ReF-LDM nodes, LoRA loaders or any stock sampler."
                ),
                io.Vae.Output(display_name="vae", tooltip="Connect it to ReF-LDM nodes or stock VAE nodes."),
            ],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None, first_stage: str | None) -> bool | str:
        # The host does not check the inputs that are named here. Its own message would not say where a file belongs.
        # An input is None when another node will provide its value.
        for name in (checkpoint, first_stage):
            if name not in (None, _INSIDE) and _path(name) is None:
                return str(_missing(name))
        return True

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str, first_stage: str, dtype: str) -> Any:
        return [*(host.state_of(_path(name)) for name in (checkpoint, first_stage)), dtype]

    @classmethod
    def execute(cls, checkpoint: str, first_stage: str, dtype: str) -> io.NodeOutput:
        path = _path(checkpoint)
        first_stage_path = None if first_stage == _INSIDE else _path(first_stage)
        if path is None or (first_stage_path is None and first_stage != _INSIDE):
            raise _missing(checkpoint if path is None else first_stage)
        model, vae = host.load_model(path, first_stage_path, dtype)
        host.warn_of_training({"model": vae.refldm_metadata})
        return io.NodeOutput(model, vae)


def _path(name: str) -> Path | None:
    """Return the path of the file of that name; None if there is no such file."""
    if name == embedded.NAME:
        return embedded.RESTORER if embedded.RESTORER.is_file() else None
    return host.path_in(host.MODELS, name)


def _missing(name: str) -> CheckpointError:
    if name == embedded.NAME:
        return embedded.missing(embedded.RESTORER)
    folder = host.first_folder(host.MODELS)
    official = " and ".join(file.name for file in OFFICIAL)
    return CheckpointError(
        f"There is no ReF-LDM model file {name} in {folder}.",
        expected=f"the official files {official}, or another ReF-LDM checkpoint, in that folder",
        remedy=f"download {' and '.join(file.url for file in OFFICIAL)} into that folder, then refresh the page "
        f'(in a checkout of the project,  refldm download --folder "{folder}"  does the same), '
        f"or choose {embedded.NAME}, which knows rendered people only\n"
        f"{LICENSE}",
    )
