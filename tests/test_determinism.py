"""Same seed, same picture: what docs/stability.md promises, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings

from .conftest import load_restorer
from .parity import GRAY_LEVELS, difference, tolerance
from .weights import TinyFiles

SETTINGS = SamplingSettings(steps=4)


def restored(restorer: Restorer, pictures: Tensor) -> dict[str, Tensor]:
    """The final latent and the picture of the last of three pictures, restored with the first two as references."""
    references = restorer.encode_references(pictures[:2])
    latents = restorer.sample(restorer.encode(pictures[2:]), references, [7], SETTINGS)
    return {"latents": latents.contiguous(), "picture": restorer.decode(latents).contiguous()}


def test_the_same_run_gives_the_same_bits(restorer: Restorer, reference_images: Tensor) -> None:
    first, again = (restored(restorer, reference_images) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_runs_before_it_do_not_change_a_picture(restorer: Restorer, reference_images: Tensor) -> None:
    """No generator's state and no cache of one picture reaches the next."""
    first = restored(restorer, reference_images)
    restored(restorer, reference_images.flip(0))
    torch.rand(5)
    again = restored(restorer, reference_images)
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.fixture(scope="module")
def by_process(
    tmp_path_factory: pytest.TempPathFactory, tiny: TinyFiles, reference_images: Tensor
) -> list[dict[str, Tensor]]:
    """Of new processes with one thread, with one thread again, and with two."""
    folder = tmp_path_factory.mktemp("processes")
    save_file({"pictures": reference_images.contiguous()}, folder / "pictures.safetensors")
    results: list[dict[str, Tensor]] = []
    for number, threads in enumerate((1, 1, 2)):
        output = folder / f"{number}.safetensors"
        words = [str(threads), str(tiny.ckpt), str(tiny.config), str(folder / "pictures.safetensors"), str(output)]
        subprocess.run(
            [sys.executable, "-m", "tests.test_determinism", *words], check=True, cwd=Path(__file__).parents[1]
        )
        results.append(load_file(output))
    return results


def test_a_new_process_gives_the_same_bits(by_process: list[dict[str, Tensor]]) -> None:
    first, again, _ = by_process
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_threads_change_no_more_than_rounding(by_process: list[dict[str, Tensor]]) -> None:
    one, _, two = by_process
    assert difference(two["latents"], one["latents"]) <= tolerance("ddim.x")
    levels = (two["picture"] - one["picture"]).abs() * 127.5
    assert (levels <= GRAY_LEVELS).float().mean() > 0.99, "a code of the quantizer may flip here and there"


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    checkpoint, config, pictures_file, output_file = map(Path, sys.argv[2:])
    save_file(restored(load_restorer(checkpoint, config), load_file(pictures_file)["pictures"]), output_file)
