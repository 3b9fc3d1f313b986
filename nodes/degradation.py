"""The node that makes low-quality versions of good pictures."""
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
            description="Makes low-quality versions of good pictures, so that a restorer can be tested. As in the "
            "paper's test sets, each picture is blurred, shrunk, made noisy, compressed as JPEG and enlarged to its "
            "old size.",
            **where_supported(search_aliases=["degradation", "low quality", "blur noise jpeg", "make lq", "test set"]),
            inputs=[
                io.Image.Input("image", tooltip="Connect aligned crops of any size, one or a batch."),
                io.Combo.Input(
                    "kind",
                    options=list(get_args(Kind)),
                    default="moderate",
                    tooltip="Choose the strength of the damage. moderate and severe are the ranges of the paper's test "
                    "sets. training is the wider range on which the model was trained.",
                ),
                io.Int.Input(
                    "seed",
                    default=2024,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed for the random numbers. The second picture of a batch uses seed + 1, the third uses "
                    "seed + 2, and so on.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="Holds the low-quality pictures at their old size."),
                io.String.Output(
                    display_name="report",
                    tooltip="Holds one line for each picture, with its seed and its degradation.",
                ),
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, kind: Kind, seed: int) -> io.NodeOutput:
        image = require_images(image, "image")
        degradations = [draw(RANGES[kind], seed + i) for i in range(len(image))]
        # The results overwrite their originals, so that a long video is in memory only once.
        pictures = round_to_u8(bhwc_to_model(image)).movedim(1, -1).contiguous()
        for picture, degradation in zip(pictures, degradations, strict=True):
            picture.copy_(torch.from_numpy(degrade(picture.cpu().numpy(), degradation)))
        report = "\n".join(_report_line(i, seed + i, degradation) for i, degradation in enumerate(degradations))
        return io.NodeOutput(model_to_bhwc(u8_to_tensor(pictures.movedim(-1, 1))), report)


def _report_line(index: int, seed: int, degradation: Degradation) -> str:
    return (
        f"{index + 1}: seed {seed}, blur {degradation.blur_sigma:.2f}, downscale {degradation.downscale:.2f}, "
        f"noise {degradation.noise_sigma:.2f}, JPEG quality {degradation.jpeg_quality}"
    )
