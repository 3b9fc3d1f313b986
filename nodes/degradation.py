"""Low-quality versions of good pictures."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.data.degradation import RANGES, Degradation, Kind, degrade, draw
from ..refldm_core.images import bhwc_to_model, model_to_bhwc, round_to_u8, u8_to_tensor
from .images import require_images
from .types import CATEGORY, where_supported


class Degrade(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_Degrade",
            category=CATEGORY,
            display_name="Degrade Faces",
            description="Makes low-quality versions of good pictures, to try a restorer on: blurred, shrunk, noisy, "
            "compressed, and back at their size, as in the paper's test sets.",
            **where_supported(search_aliases=["degradation", "low quality", "blur noise jpeg", "make lq", "test set"]),
            inputs=[
                io.Image.Input("image", tooltip="Aligned crops of any size, one or a batch."),
                io.Combo.Input(
                    "kind",
                    options=list(get_args(Kind)),
                    default="moderate",
                    tooltip="moderate and severe are the paper's test sets, training is all that the model was trained "
                    "with.",
                ),
                io.Int.Input(
                    "seed",
                    default=2024,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Of the random numbers. The second picture of a batch has seed + 1, the third seed + 2.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The low-quality pictures, at their own size."),
                io.String.Output(display_name="report", tooltip="A line for each picture: what was done to it."),
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, kind: Kind, seed: int) -> io.NodeOutput:
        image = require_images(image, "image")
        drawn = [draw(RANGES[kind], seed + i) for i in range(len(image))]
        # In place of the originals: a long video is held once.
        pictures = round_to_u8(bhwc_to_model(image)).movedim(1, -1).contiguous()
        for picture, degradation in zip(pictures, drawn, strict=True):
            picture.copy_(torch.from_numpy(degrade(picture.cpu().numpy(), degradation)))
        report = "\n".join(_in_words(i, seed + i, one) for i, one in enumerate(drawn))
        return io.NodeOutput(model_to_bhwc(u8_to_tensor(pictures.movedim(-1, 1))), report)


def _in_words(index: int, seed: int, drawn: Degradation) -> str:
    return (
        f"{index + 1}: seed {seed}, blur {drawn.blur_sigma:.2f}, downscale {drawn.downscale:.2f}, "
        f"noise {drawn.noise_sigma:.2f}, JPEG quality {drawn.jpeg_quality}"
    )
