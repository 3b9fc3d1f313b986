"""Restore faces with references of the same person.

examples:
  refldm restore face.png --reference a.jpg b.jpg c.jpg --output restored.png --aligned
      The input and the references are aligned face crops, as in FFHQ; they are resized to the model's size.
  refldm restore *.png --reference me/*.jpg --output done/ --aligned --sampler dpmpp_2m --steps 20
      Several pictures of one person into a folder, with fewer steps.
  refldm restore face.png --output restored.png --aligned
      No references: the model restores without knowing the person, and without guidance.

The defaults are the published settings; with --dtype float32 the result is the published script's.
A reference is a good, sharp photo of the same person; 2 to 5 are best, the model was trained with up to 5.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..checkpoints.building import LoadedModel, load_model
from ..diffusion.schedule import NoiseSpec, sampling_timesteps
from ..errors import OutputError, SettingsError
from ..files import require_writable
from ..images import load_image, require_image_format, save_image, to_pil, to_tensor
from ..model.reference import ReferenceKV
from ..pipeline import ReferenceEncoding, Restorer, SamplingSettings
from .options import DEVICES, DTYPES, MODEL_FOLDER, add_model_arguments, choose_device, choose_dtype
from .output import Output

_TRAINED_REFERENCES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="picture to restore")
    parser.add_argument(
        "--reference",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="R",
        help="good photos of the same person",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="OUT", help="file for one picture, existing folder for several"
    )
    parser.add_argument("--aligned", action="store_true", help="the pictures are aligned face crops already (required)")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model", type=Path, metavar="FILE", help=f"checkpoint (default: refldm.ckpt in {MODEL_FOLDER})"
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


class _Job(NamedTuple):
    source: Path
    target: Path


def run(args: argparse.Namespace, output: Output) -> int:
    # What is wrong with the arguments is found before the minutes of loading and sampling.
    if not args.aligned:
        raise SettingsError(
            "Finding faces in whole photos is not built yet.",
            expected="aligned face crops and --aligned",
            remedy="crop the face as in FFHQ (square, eyes level) and add --aligned",
        )
    settings = _settings(args)
    jobs = _jobs(args.inputs, args.output, overwrite=args.overwrite)
    _require_pictures([*args.inputs, *args.reference])
    _remark_on_references(len(args.reference), output)

    model = _load(args)
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    done: list[dict[str, Any]] = []
    with _explained_memory_errors():
        references = _encode_references(restorer, args.reference, args.reference_encoding)
        for job in output.each(jobs, "pictures", len(jobs)):
            start = time.perf_counter()
            crop = _crop(restorer, load_image(job.source)).unsqueeze(0)
            with output.steps(job.source.name) as on_step:
                restored = restorer.restore(crop, references, [args.seed], settings, on_step)
            save_image(to_pil(restored[0]), job.target)
            seconds = round(time.perf_counter() - start, 3)
            done.append({"input": str(job.source), "output": str(job.target), "seconds": seconds})
    output.result(
        "\n".join(str(job.target) for job in jobs),
        {
            "restored": done,
            "references": [str(path) for path in args.reference],
            "reference_encoding": args.reference_encoding,
            "settings": {**asdict(settings), "seed": args.seed},
            "model": {"fingerprint": model.unet.fingerprint, "weights": model.weights},
            "dtype": str(restorer.dtype).removeprefix("torch."),
            "device": str(restorer.device),
        },
    )
    return 0


def _settings(args: argparse.Namespace) -> SamplingSettings:
    if not math.isfinite(args.guidance) or not -(2**63) <= args.seed < 2**64:
        raise SettingsError(
            f"Guidance {args.guidance} or seed {args.seed} is out of range.",
            expected="a finite guidance and a seed of at most 64 bits",
            remedy="the published values are 1.5 and 2024",
        )
    sampling_timesteps(NoiseSpec(), args.steps, args.schedule)
    return SamplingSettings(args.steps, args.sampler, args.schedule, args.guidance, args.eta)


def _jobs(inputs: Sequence[Path], out: Path, *, overwrite: bool) -> list[_Job]:
    """Which picture goes where; nothing may be lost on the way.

    Raises:
        OutputError: no such folder, two results of one name, or a result that would replace a file.
    """
    if out.is_dir():
        jobs = [_Job(source, out / f"{source.stem}.png") for source in inputs]
    elif len(inputs) == 1:
        jobs = [_Job(inputs[0], out)]
    else:
        raise OutputError(
            f"{len(inputs)} pictures cannot go into the one file {out}.",
            expected="an existing folder as --output",
            remedy=f"create the folder {out}, or restore the pictures one by one",
        )
    sources = {source.resolve() for source in inputs}
    seen: dict[Path, Path] = {}
    for source, target in jobs:
        require_image_format(target)
        if target in seen:
            raise OutputError(
                f"{seen[target]} and {source} would both become {target}.",
                expected="pictures with different names",
                remedy="rename one, or restore them into different folders",
            )
        seen[target] = source
        if target.resolve() in sources or (target.exists() and not overwrite):
            is_source = target.resolve() in sources
            raise OutputError(
                f"{target} {'is one of the inputs' if is_source else 'exists already'}.",
                expected="a new file",
                remedy="choose another --output" + ("" if is_source else ", or add --overwrite"),
            )
        require_writable(target)
    return jobs


def _require_pictures(paths: Sequence[Path]) -> None:
    for path in paths:
        load_image(path)


def _remark_on_references(count: int, output: Output) -> None:
    if count == 0:
        output.remark(
            "No references: the model restores the face without knowing the person, and without guidance. "
            "Add --reference with photos of the same person to restore their likeness."
        )
    elif count > _TRAINED_REFERENCES:
        output.remark(
            f"{count} references: the model was trained with up to {_TRAINED_REFERENCES}; more take longer and "
            "rarely help."
        )


def _load(args: argparse.Namespace) -> LoadedModel:
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
    device = choose_device(args.device)
    return load_model(model, vqgan, args.config, dtype=choose_dtype(args.dtype, device), device=device)


def _encode_references(restorer: Restorer, paths: Sequence[Path], encoding: ReferenceEncoding) -> ReferenceKV | None:
    if not paths:
        return None
    crops = torch.stack([_crop(restorer, load_image(path)) for path in paths])
    return restorer.encode_references(crops.to(restorer.device), encoding)


def _crop(restorer: Restorer, image: Image.Image) -> Tensor:
    return to_tensor(image, restorer.spec.crop_size)


@contextmanager
def _explained_memory_errors() -> Generator[None, None, None]:
    try:
        yield
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise SettingsError(
            "The memory was not enough for the model, these references and this picture.",
            expected="about 3 GB for the released model in float32",
            remedy="use --dtype bfloat16, fewer references or --reference-encoding separate, or --device cpu",
        ) from error
