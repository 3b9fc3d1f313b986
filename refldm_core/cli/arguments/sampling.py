"""The options of every command that restores: the model and the sampling."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from ...diffusion.settings import ReferenceTokens, SamplerName, Spacing
from ...presets import PRESETS, PUBLISHED
from .model import DEVICES, DTYPES, MODEL_FOLDER, add_model_arguments
from .numbers import finite_number


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, in two groups."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help='checkpoint, or "embedded" for the small model that comes with refldm and knows rendered people only '
        f"(default: refldm.ckpt in {MODEL_FOLDER})",
    )
    add_model_arguments(model)
    model.add_argument(
        "--dtype",
        choices=("auto", *DTYPES),
        default="auto",
        help="number type of the computation; auto is a 16-bit type if the device is correct and fast with it, else "
        "float32; float32 is exact, without TF32 (default: auto)",
    )
    model.add_argument("--device", choices=DEVICES, default="auto", help="device of the model (default: auto)")
    model.add_argument(
        "--compile",
        action="store_true",
        help="compile the U-Net (torch.compile). The first picture, and the first with another number of references, "
        "takes minutes longer; then each step is faster. This pays for many pictures. A CPU needs a C++ compiler, a "
        "GPU "
        "needs Triton; without it the command says so and runs without compiling",
    )
    sampling = parser.add_argument_group("sampling")
    presets = "; ".join(f"{name}: {preset}" for name, preset in PRESETS.items()).replace("%", "%%")
    sampling.add_argument(
        "--preset",
        choices=list(PRESETS),
        default=PUBLISHED,
        help="values of --steps, --sampler, --schedule, --guidance, --guidance-interval and --strength unless you set "
        f"them. {presets} (default: {PUBLISHED})",
    )
    sampling.add_argument("--steps", type=int, metavar="N", help="number of sampling steps")
    sampling.add_argument(
        "--sampler", choices=get_args(SamplerName), help="sampler; dpmpp_2m needs fewer steps than ddim"
    )
    sampling.add_argument(
        "--schedule", choices=get_args(Spacing), help="spacing of the timesteps; the paper uses uniform"
    )
    sampling.add_argument(
        "--guidance",
        type=finite_number,
        metavar="G",
        help="guidance scale, the pull of the references; 1 turns it off and halves the predictions of each step",
    )
    sampling.add_argument(
        "--guidance-interval",
        type=int,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="use guidance only at timesteps LOW to HIGH, 0 (clean) to 999 (noise); all other steps need one "
        "prediction instead of two",
    )
    sampling.add_argument(
        "--strength",
        type=finite_number,
        metavar="S",
        help="how far faces may move from the photo, 0 to 1. Sampling starts from the photo's own latent with added "
        "noise and runs through this share of the noise levels. 0 changes nothing; 1 starts from pure noise, as "
        "published (default: that of the preset, 1 but for touch-up)",
    )
    sampling.add_argument(
        "--reference-strength",
        type=finite_number,
        metavar="W",
        help="weight of the references in attention, 0 to 100: log W is added to their attention logits, so 2 equals "
        "naming every reference twice. 0 is without references, 1 is as published (default: 1)",
    )
    sampling.add_argument(
        "--reference-tokens",
        choices=get_args(ReferenceTokens),
        help="half leaves out every other token of the references at the finest attention level. Steps with many "
        "references then take less time, and the pictures change a little (default: all)",
    )
    sampling.add_argument("--eta", type=finite_number, metavar="E", help="noise of DDIM, 0 to 1")
    sampling.add_argument("--seed", type=int, default=2024, metavar="S", help="seed of every picture (default: 2024)")
    sampling.add_argument(
        "--reference-encoding",
        choices=("joint", "separate"),
        default="joint",
        help="encode the references as one picture, as in training, or each alone (default: joint)",
    )
