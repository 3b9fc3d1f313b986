"""What every command that restores takes: the model, and how to sample."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from ..checkpoints.building import LoadedModel, load_model
from ..diffusion.sampling import SamplerName
from ..diffusion.schedule import NoiseSpec, Spacing, sampling_timesteps
from ..errors import SettingsError
from ..model.compiling import compile_unet
from ..model.precision import device_properties, half_precision
from ..pipeline import Restorer, SamplingSettings
from ..presets import PRESETS, PUBLISHED
from .memory import CLOSE_PROGRAMS, ON_THE_CPU, Stage, explained_memory_errors
from .options import DEVICES, DTYPES, MODEL_FOLDER, add_model_arguments, choose_device, choose_dtype, model_path
from .output import Output


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, in two groups."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help='checkpoint, or "embedded" for the small one that comes along and knows rendered people only (default: '
        f"refldm.ckpt in {MODEL_FOLDER})",
    )
    add_model_arguments(model)
    model.add_argument(
        "--dtype",
        choices=("auto", *DTYPES),
        default="auto",
        help="type to compute in; auto is the 16-bit type that the device is right and fast in, else "
        "float32; float32 is exact, without TF32 (default: auto)",
    )
    model.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: auto)")
    model.add_argument(
        "--compile",
        action="store_true",
        help="compile the U-Net (torch.compile): the first picture, and the first with another number of "
        "references, takes minutes more, each step less; for many pictures. Needs a C++ compiler on a CPU, Triton on a "
        "GPU; without them it says so and runs uncompiled",
    )
    sampling = parser.add_argument_group("sampling")
    presets = "; ".join(f"{name}: {preset}" for name, preset in PRESETS.items()).replace("%", "%%")
    sampling.add_argument(
        "--preset",
        choices=list(PRESETS),
        default=PUBLISHED,
        help=f"steps, sampler, schedule and guidance, where they are not given. {presets} (default: {PUBLISHED})",
    )
    sampling.add_argument("--steps", type=int, metavar="N", help="sampling steps")
    sampling.add_argument("--sampler", choices=get_args(SamplerName), help="dpmpp_2m needs fewer steps than ddim")
    sampling.add_argument("--schedule", choices=get_args(Spacing), help="timesteps; uniform is the paper's")
    sampling.add_argument(
        "--guidance", type=float, metavar="G", help="pull of the references; 1 is off: one prediction a step, not two"
    )
    sampling.add_argument(
        "--guidance-interval",
        type=int,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="guide only at timesteps LOW to HIGH, 0 (clean) to 999 (noise); one prediction in each other step",
    )
    sampling.add_argument(
        "--strength",
        type=float,
        metavar="S",
        help="how far faces may move from the photo, 0 to 1: the part of the noise levels that is sampled, from the "
        "photo's own latent with noise on it. 0 changes nothing; 1 starts from noise alone, as published (default: 1)",
    )
    sampling.add_argument(
        "--reference-strength",
        type=float,
        metavar="W",
        help="how much the references count, 0 to 100: log W is added to their attention logits, so that 2 is as "
        "every reference given twice. 0 is no references, 1 is published (default: 1)",
    )
    sampling.add_argument("--eta", type=float, metavar="E", help="noise of DDIM, 0 to 1")
    sampling.add_argument("--seed", type=int, default=2024, metavar="S", help="of every picture (default: 2024)")
    sampling.add_argument(
        "--reference-encoding",
        choices=("joint", "separate"),
        default="joint",
        help="encode the references as one picture, as the model was trained, or each alone (default: joint)",
    )


def sampling_settings(args: argparse.Namespace) -> SamplingSettings:
    """The preset that was named, with what was given besides.

    Raises:
        SettingsError: a number out of range, or steps that the schedule does not have.
    """
    given: dict[str, Any] = {
        "steps": args.steps,
        "sampler": args.sampler,
        "spacing": args.schedule,
        "guidance": args.guidance,
        "eta": args.eta,
        "strength": args.strength,
        "reference_strength": args.reference_strength,
        "guidance_interval": args.guidance_interval and tuple(args.guidance_interval),
    }
    settings = replace(PRESETS[args.preset].settings, **{n: value for n, value in given.items() if value is not None})
    if not math.isfinite(settings.guidance) or not -(2**63) <= args.seed < 2**63:
        raise SettingsError(
            f"Guidance {settings.guidance} or seed {args.seed} is out of range.",
            expected="a finite guidance and a seed of 64 bits",
            remedy="the published values are 1.5 and 2024",
        )
    sampling_timesteps(NoiseSpec(), settings.steps, settings.spacing)
    return settings


def sampling_device(args: argparse.Namespace) -> torch.device:
    """The device that was named, this process's own of several; errors as `choose_device`."""
    device = choose_device(args.device)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:  # accelerate launch: one GPU for each process
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def load_named_model(args: argparse.Namespace, device: torch.device, output: Output) -> LoadedModel:
    """The model that was named, else the official one where it was downloaded; compiled where that was asked for.

    Raises:
        SettingsError: none was named, and there is none.
        CheckpointError: no model, or a damaged one.
        NotEnoughMemoryError: the model does not fit.
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
    dtype = choose_dtype(args.dtype, device)
    with explained_memory_errors(_loading_stage(device, dtype)):
        loaded = load_model(model_path(model), vqgan, args.config, dtype=dtype, device=device)
    if args.compile:
        compile_unet(loaded.unet, on_failure=output.remark)
    return loaded


def encoding_stage(args: argparse.Namespace, restorer: Restorer) -> Stage:
    """Encoding references; together they take more memory than everything after."""
    together = args.reference_encoding == "joint"
    ways = ["--reference-encoding separate, which gives slightly different results"] if together else []
    return Stage(
        "encode the references",
        [*ways, "fewer references", *_less_memory(restorer.device, restorer.dtype)],
        "about 3.7 GB for the released model and 4 references encoded together, in bfloat16 2.4 GB (measured on a CPU)"
        if together
        else _FOR_ONE_FACE,
    )


def restoring_stage(args: argparse.Namespace, restorer: Restorer) -> Stage:
    """Restoring a picture of `refldm restore` with references that are encoded."""
    ways: list[str] = []
    if not args.aligned:
        ways += [f"a --batch below {args.batch}"] if args.batch > 1 else []
        ways += ["a smaller --upscale"] if args.upscale > 1.0 else []
    return Stage(
        "restore this picture",
        [*ways, *_less_memory(restorer.device, restorer.dtype), "fewer references"],
        f"{_FOR_ONE_FACE}, and more for several faces at once",
    )


_FOR_ONE_FACE = "about 2.3 GB for the released model and one face, in bfloat16 1.9 GB (measured on a CPU)"


def _loading_stage(device: torch.device, dtype: torch.dtype) -> Stage:
    ways = [*_less_memory(device, dtype), "enlarge the paging file (Windows)"]
    return Stage("load the model", ways, "about 2.3 GB for the released model, in 16 bit 1.9 GB (measured on a CPU)")


def _less_memory(device: torch.device, dtype: torch.dtype) -> list[str]:
    """What needs less memory at every stage."""
    ways: list[str] = []
    if dtype == torch.float32:
        short = torch.bfloat16 if device.type == "cpu" else half_precision(device_properties(device))
        ways += [f"--dtype {str(short).removeprefix('torch.')}"] if short != torch.float32 else []
    if device.type != "cpu":
        ways.append(ON_THE_CPU)
    return [*ways, CLOSE_PROGRAMS]
