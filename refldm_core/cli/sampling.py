"""The model and the sampling of every command that restores, as the options say."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import replace
from typing import Any

import torch

from ..checkpoints.building import LoadedModel, load_model
from ..diffusion.schedule import NoiseSpec, sampling_table
from ..errors import SettingsError
from ..model.compiling import compile_unet
from ..model.precision import device_properties, half_precision
from ..pipeline import Restorer, SamplingSettings
from ..presets import PRESETS
from .arguments.model import MODEL_FOLDER
from .memory import CLOSE_PROGRAMS, ON_THE_CPU, Stage, explained_memory_errors
from .options import choose_device, choose_dtype, model_path
from .output import Output


def sampling_settings(args: argparse.Namespace) -> SamplingSettings:
    """Return the settings of the preset, replaced by the options that the user set.

    Raises:
        SettingsError: A number is out of range, or the schedule does not have so many steps.
    """
    options: dict[str, Any] = {
        "steps": args.steps,
        "sampler": args.sampler,
        "spacing": args.schedule,
        "guidance": args.guidance,
        "eta": args.eta,
        "strength": args.strength,
        "reference_strength": args.reference_strength,
        "reference_tokens": args.reference_tokens,
        "guidance_interval": args.guidance_interval and tuple(args.guidance_interval),
    }
    settings = replace(
        PRESETS[args.preset].settings, **{name: value for name, value in options.items() if value is not None}
    )
    if not math.isfinite(settings.guidance) or not -(2**63) <= args.seed < 2**63:
        raise SettingsError(
            f"Guidance {settings.guidance} or seed {args.seed} is out of range.",
            expected="a finite guidance and a seed of 64 bits",
            remedy="choose other values; the published ones are 1.5 and 2024",
        )
    sampling_table(NoiseSpec(), settings.steps, settings.spacing, settings.strength or 1.0)
    return settings


def sampling_device(args: argparse.Namespace) -> torch.device:
    """Return the device that was named. With several processes, each gets its own GPU. Errors as `choose_device`."""
    device = choose_device(args.device)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:  # accelerate launch: one GPU for each process
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def load_named_model(args: argparse.Namespace, device: torch.device, output: Output) -> LoadedModel:
    """Load the model that was named, else the official one that was downloaded. Compile it with --compile.

    Raises:
        SettingsError: No model was named, and none was downloaded.
        CheckpointError: The file is missing or damaged, or is not a ReF-LDM model.
        NotEnoughMemoryError: The model does not fit into the memory.
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
    """Return the stage of encoding references. Joint encoding takes more memory than every later stage."""
    joint = args.reference_encoding == "joint"
    remedies = ["--reference-encoding separate, which gives slightly different results"] if joint else []
    return Stage(
        "encode the references",
        [*remedies, "fewer references", *_less_memory(restorer.device, restorer.dtype)],
        "about 3.7 GB for the released model and 4 references encoded together, in bfloat16 2.4 GB (measured on a CPU)"
        if joint
        else _FOR_ONE_FACE,
    )


def restoring_stage(args: argparse.Namespace, restorer: Restorer) -> Stage:
    """Return the stage of `refldm restore` that restores a picture with encoded references."""
    remedies: list[str] = []
    if not args.aligned:
        remedies += [f"a --batch below {args.batch}"] if (args.batch or 1) > 1 else []
        remedies += ["a smaller --upscale"] if args.upscale > 1.0 else []
    return Stage(
        "restore this picture",
        [*remedies, *_less_memory(restorer.device, restorer.dtype), "fewer references"],
        f"{_FOR_ONE_FACE}, and more for several faces at once",
    )


_FOR_ONE_FACE = "about 2.3 GB for the released model and one face, in bfloat16 1.9 GB (measured on a CPU)"


def _loading_stage(device: torch.device, dtype: torch.dtype) -> Stage:
    remedies = [*_less_memory(device, dtype), "enlarge the paging file (Windows)"]
    return Stage(
        "load the model", remedies, "about 2.3 GB for the released model, in 16 bit 1.9 GB (measured on a CPU)"
    )


def _less_memory(device: torch.device, dtype: torch.dtype) -> list[str]:
    """Return the changes that need less memory at every stage."""
    remedies: list[str] = []
    if dtype == torch.float32:
        short = torch.bfloat16 if device.type == "cpu" else half_precision(device_properties(device))
        remedies += [f"--dtype {str(short).removeprefix('torch.')}"] if short != torch.float32 else []
    if device.type != "cpu":
        remedies.append(ON_THE_CPU)
    return [*remedies, CLOSE_PROGRAMS]
