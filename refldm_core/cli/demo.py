"""Try the whole command line in a few seconds, without the official weights.

It draws a few pictures, writes a small model of RANDOM weights, and restores one of them with the others as
references. With random weights the result looks like noise: it shows that everything works, not how well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

from ..checkpoints.random_weights import write_random_model
from ..files import output_error
from ..images import save_image
from ..model.unet import UNetSpec
from ..model.variants import ModelSpec
from ..model.vqgan import FirstStageSpec
from . import restore
from .output import Output

_SIZE = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder for the pictures (default: demo)"
    )


def run(args: argparse.Namespace, output: Output) -> int:
    folder: Path = args.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    face = _drawn_face(0.0)
    blurred = face.resize((_SIZE // 8, _SIZE // 8), Image.Resampling.BILINEAR).resize(
        face.size, Image.Resampling.BILINEAR
    )
    paths = {name: folder / f"{name}.png" for name in ("lq", "reference_1", "reference_2", "restored")}
    save_image(blurred, paths["lq"])
    save_image(_drawn_face(-0.06), paths["reference_1"])
    save_image(_drawn_face(0.06), paths["reference_2"])
    model = folder / "random.safetensors"
    first_stage = FirstStageSpec(channels=32, num_res_blocks=1, codebook_size=1024)
    write_random_model(
        model, ModelSpec(UNetSpec(model_channels=64, num_res_blocks=1), first_stage, latent_size=_SIZE // 8)
    )
    output.remark(
        f"The model {model} has RANDOM weights, so {paths['restored'].name} will look like noise. For real results run "
        "`refldm download` and leave out --model."
    )
    command = [str(paths["lq"]), "--reference", str(paths["reference_1"]), str(paths["reference_2"])]
    command += ["--output", str(paths["restored"]), "--aligned", "--overwrite", "--model", str(model), "--steps", "10"]
    output.remark("refldm restore " + " ".join(f'"{word}"' if " " in word else word for word in command))
    parser = argparse.ArgumentParser()
    restore.add_arguments(parser)
    return restore.run(parser.parse_args(command), output)


def _drawn_face(turn: float) -> Image.Image:
    """A simple face; `turn` moves its features sideways, as a fraction of the width."""
    image = Image.new("RGB", (_SIZE, _SIZE), (96, 128, 160))
    draw = ImageDraw.Draw(image)

    def oval(x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        x += turn
        draw.ellipse([(v * _SIZE) for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    oval(0.5 - turn, 0.5, 0.36, 0.46, (70, 45, 30))
    oval(0.5 - turn, 0.55, 0.3, 0.38, (224, 180, 150))
    for x in (0.38, 0.62):
        oval(x, 0.47, 0.07, 0.04, (250, 250, 250))
        oval(x, 0.47, 0.03, 0.035, (60, 90, 50))
    oval(0.5, 0.6, 0.035, 0.06, (205, 155, 125))
    oval(0.5, 0.75, 0.11, 0.035, (170, 70, 70))
    return image
