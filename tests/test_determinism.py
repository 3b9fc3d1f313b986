"""The same seed gives the same picture, as far as docs/stability.md promises it."""

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


def restore_last(restorer: Restorer, pictures: Tensor) -> dict[str, Tensor]:
    """Restore the last of three pictures with the first two as references. Return its final latent and its picture."""
    references = restorer.encode_references(pictures[:2])
    latents = restorer.sample(restorer.encode(pictures[2:]), references, [7], SETTINGS)
    return {"latents": latents.contiguous(), "picture": restorer.decode(latents).contiguous()}


def test_the_same_run_gives_the_same_bits(restorer: Restorer, reference_images: Tensor) -> None:
    first, second = (restore_last(restorer, reference_images) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_earlier_runs_do_not_change_a_picture(restorer: Restorer, reference_images: Tensor) -> None:
    """Neither the state of a generator nor a cache passes from one picture to the next."""
    first = restore_last(restorer, reference_images)
    restore_last(restorer, reference_images.flip(0))
    torch.rand(5)
    second = restore_last(restorer, reference_images)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def results_by_process(
    tmp_path_factory: pytest.TempPathFactory, tiny: TinyFiles, reference_images: Tensor
) -> list[dict[str, Tensor]]:
    """Results of three new processes: two with one thread, and one with two threads."""
    folder = tmp_path_factory.mktemp("processes")
    save_file({"pictures": reference_images.contiguous()}, folder / "pictures.safetensors")
    results: list[dict[str, Tensor]] = []
    for number, threads in enumerate((1, 1, 2)):
        output = folder / f"{number}.safetensors"
        arguments = [str(threads), str(tiny.ckpt), str(tiny.config), str(folder / "pictures.safetensors"), str(output)]
        subprocess.run(
            [sys.executable, "-m", "tests.test_determinism", *arguments], check=True, cwd=Path(__file__).parents[1]
        )
        results.append(load_file(output))
    return results


def test_a_new_process_gives_the_same_bits(results_by_process: list[dict[str, Tensor]]) -> None:
    first, second, _ = results_by_process
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_threads_change_no_more_than_rounding(results_by_process: list[dict[str, Tensor]]) -> None:
    one_thread, _, two_threads = results_by_process
    assert difference(two_threads["latents"], one_thread["latents"]) <= tolerance("ddim.x")
    levels = (two_threads["picture"] - one_thread["picture"]).abs() * 127.5
    assert (levels <= GRAY_LEVELS).float().mean() > 0.99, "only few codebook indices may flip"


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    checkpoint, config, pictures_file, output_file = map(Path, sys.argv[2:])
    save_file(restore_last(load_restorer(checkpoint, config), load_file(pictures_file)["pictures"]), output_file)
