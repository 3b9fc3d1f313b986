"""What every command that restores takes: the model, and how to sample."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..checkpoints.building import LoadedModel, load_model
from ..diffusion.schedule import NoiseSpec, sampling_timesteps
from ..errors import SettingsError
from ..pipeline import SamplingSettings
from .options import DEVICES, DTYPES, MODEL_FOLDER, add_model_arguments, choose_device, choose_dtype, model_path


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, in two groups."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help='checkpoint, or "embedded" for the small one that comes along and knows drawn people only (default: '
        f"refldm.ckpt in {MODEL_FOLDER})",
    )
    add_model_arguments(model)
    model.add_argument("--dtype", choices=("auto", *DTYPES), default="auto", help="type to compute in (default: auto)")
    model.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: auto)")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--steps", type=int, default=50, metavar="N", help="sampling steps (default: 50)")
    sampling.add_argument("--sampler", choices=("ddim", "dpmpp_2m"), default="ddim", help="default: ddim, as published")
    sampling.add_argument(
        "--schedule", choices=("trailing", "uniform"), default="trailing", help="timesteps; trailing is published"
    )
    sampling.add_argument(
        "--guidance", type=float, default=1.5, metavar="G", help="pull of the references; 1 is off (default: 1.5)"
    )
    sampling.add_argument("--eta", type=float, default=0.0, metavar="E", help="noise of DDIM, 0 to 1 (default: 0)")
    sampling.add_argument("--seed", type=int, default=2024, metavar="S", help="of every picture (default: 2024)")
    sampling.add_argument(
        "--reference-encoding",
        choices=("joint", "separate"),
        default="joint",
        help="encode the references as one picture, as the model was trained, or each alone (default: joint)",
    )


def sampling_settings(args: argparse.Namespace) -> SamplingSettings:
    """The settings that were named.

    Raises:
        SettingsError: a number out of range, or steps that the schedule does not have.
    """
    if not math.isfinite(args.guidance) or not -(2**63) <= args.seed < 2**63:
        raise SettingsError(
            f"Guidance {args.guidance} or seed {args.seed} is out of range.",
            expected="a finite guidance and a seed of 64 bits",
            remedy="the published values are 1.5 and 2024",
        )
    sampling_timesteps(NoiseSpec(), args.steps, args.schedule)
    return SamplingSettings(args.steps, args.sampler, args.schedule, args.guidance, args.eta)


def sampling_device(args: argparse.Namespace) -> torch.device:
    """The device that was named, this process's own of several; errors as `choose_device`."""
    device = choose_device(args.device)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:  # accelerate launch: one GPU for each process
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def load_named_model(args: argparse.Namespace, device: torch.device) -> LoadedModel:
    """The model that was named, else the official one where it was downloaded.

    Raises:
        SettingsError: none was named, and there is none.
        CheckpointError: no model, or a damaged one.
    """
    model, vqgan = args.model, args.vqgan
    if model is None:
        model = MODEL_FOLDER / "refldm.ckpt"
        vqgan = vqgan or (MODEL_FOLDER / "vqgan.ckpt")
        if not model.exists():
            raise SettingsError(
                f"No model was named, and {MODEL_FOLDER} has no refldm.ckpt.",
                expected="--model FILE, or the official files in that folder",
                remedy="run `refldm download` (non-commercial research use only), or name a file with --model",
            )
    return load_model(model_path(model), vqgan, args.config, dtype=choose_dtype(args.dtype, device), device=device)


@contextmanager
def explained_memory_errors() -> Generator[None, None, None]:
    """Turns PyTorch's errors of too little memory into a `SettingsError` with a remedy."""
    try:
        yield
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise SettingsError(
            "The memory was not enough for the model, these references and this picture.",
            expected="about 7 GB for the released model with 4 references in float32 on a CPU",
            remedy="use --dtype bfloat16, fewer references or --reference-encoding separate, or --device cpu",
        ) from error
