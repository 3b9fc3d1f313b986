"""IMAGE and MASK inputs refuse wrong values with an error of our own instead of a library's message."""

from __future__ import annotations

import ast
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from .pack import PACK, load

images = load("nodes.images")
crops = load("nodes.crops")
errors = load("refldm_core.errors")

GOOD = torch.rand(2, 8, 9, 3, generator=torch.Generator().manual_seed(0))


def _with(value: float) -> torch.Tensor:
    changed = GOOD.clone()
    changed[1, 3, 4, 1] = value
    return changed


WRONG: dict[str, tuple[Any, str]] = {
    "None": (None, "is nothing"),
    "text": ("photo.png", r"is a str \('photo\.png'\)"),
    "list": ([GOOD], "is a list"),
    "latent": ({"samples": GOOD}, "is a dict"),
    "array": (GOOD.numpy(), "is a ndarray"),
    "one channel": (GOOD[..., :1], "has 1 channel\\."),
    "two channels": (GOOD[..., :2], "has 2 channels"),
    "five channels": (torch.rand(1, 8, 8, 5), "has 5 channels"),
    "no batch": (GOOD[0], r"has the shape \(8, 9, 3\)"),
    "video": (GOOD[None], r"has the shape \(1, 2, 8, 9, 3\)"),
    "scalar": (torch.tensor(0.5), r"has the shape \(\)"),
    "no height": (GOOD[:, :0], r"has the shape \(2, 0, 9, 3\)"),
    "uint8": ((GOOD * 255).to(torch.uint8), "has values of the type uint8"),
    "int64": ((GOOD * 255).long(), "has values of the type int64"),
    "bool": (GOOD > 0.5, "has values of the type bool"),
    "NaN": (_with(float("nan")), ".* not finite .* in picture 2 of 2"),
    "infinity": (_with(float("inf")), ".* not finite .* in picture 2 of 2"),
    "minus infinity in 16 bit": (_with(float("-inf")).half(), ".* not finite .* in picture 2 of 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_image_is_refused(case: str) -> None:
    value, problem = WRONG[case]
    for check in (
        lambda: images.require_images(value, "photos"),
        lambda: images.to_model(value, "photos"),
        lambda: crops.fit(value, 8, "photos"),
        lambda: crops.reference_crops({"photos": GOOD, "photos_2": value} | {"photos": value}, 8),
    ):
        with pytest.raises(errors.PictureError, match=f"photos {problem}") as caught:
            check()
        assert caught.value.expected and caught.value.remedy and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        GOOD.half(),
        GOOD.bfloat16(),
        GOOD.double(),
        torch.rand(1, 4, 4, 4),
        GOOD[:0],
        GOOD * 3 - 1,
        torch.full((1, 600, 600, 3), 60000.0).half(),  # a 16-bit number cannot hold the sum
        torch.full((1, 64, 64, 3), 1e38),
    ],
)
def test_an_image_passes_unchanged(value: torch.Tensor) -> None:
    assert images.require_images(value, "image") is value


@pytest.mark.parametrize("value", [torch.rand(4, 5), torch.rand(2, 4, 5), torch.rand(0, 4, 5)])
def test_a_mask_passes_unchanged(value: torch.Tensor) -> None:
    assert images.require_mask(value, "mask") is value


@pytest.mark.parametrize("value", [None, torch.rand(4), torch.rand(1, 1, 4, 5), torch.full((4, 5), float("nan"))])
def test_a_wrong_mask_is_refused(value: Any) -> None:
    with pytest.raises(errors.PictureError, match=r"^mask "):
        images.require_mask(value, "mask")


def test_an_empty_batch_of_references_is_refused() -> None:
    """Without the check, torch raises: stack expects a non-empty TensorList."""
    for batches in ({"images": GOOD[:0]}, {"images": GOOD[:0], "images_2": torch.rand(0, 16, 16, 3)}):
        with pytest.raises(errors.ReferencesError, match="the batch is empty") as caught:
            crops.reference_crops(batches, 16)
        assert "Select References" in caught.value.remedy


def test_references_have_the_order_of_the_inputs() -> None:
    batches = {"images_2": torch.full((1, 8, 8, 3), 0.25), "images": torch.rand(0, 4, 4, 3), "images_3": GOOD}
    references = crops.reference_crops(batches, 8)
    assert references.shape == (3, 8, 8, 3) and torch.equal(references[0], batches["images_2"][0])


def test_every_node_checks_its_pictures() -> None:
    """A module that converts an IMAGE for the core also imports a function that checks it."""
    for path in sorted((PACK / "nodes").glob("*.py")):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        checked = names & {"require_images", "reference_crops", "fit"} or path.name == "images.py"
        assert "bhwc_to_model" not in names or checked, path.name


def test_pictures_are_converted_one_by_one() -> None:
    """A long video would not fit into the memory twice."""
    pictures = images.to_model(GOOD, "image")
    expected = GOOD.movedim(-1, 1) * 2.0 - 1.0
    assert len(pictures) == 2 and pictures.size == (8, 9)
    assert all(torch.equal(a, b) for a, b in zip(pictures, expected, strict=True))
    assert torch.equal(pictures[-1], expected[1]) and torch.equal(pictures[1:][0], expected[1])
    with pytest.raises(IndexError):
        pictures[2]
    earlier = weakref.ref(pictures[0])
    assert pictures[1].shape == (3, 8, 9) and earlier() is None
    assert not images.to_model(GOOD[:0], "image")
    with_alpha = images.to_model(torch.cat([GOOD, GOOD[..., :1]], dim=-1), "image")
    assert torch.equal(with_alpha[0], expected[0])


def test_an_image_is_filled_picture_by_picture() -> None:
    living: list[weakref.ref[torch.Tensor]] = []

    def produced() -> Iterator[torch.Tensor]:
        for i in range(3):
            picture = torch.full((3, 4, 5), i - 1.0)
            assert [reference() for reference in living[:-1]] == [None] * len(living[:-1])
            living.append(weakref.ref(picture))
            yield picture

    image = images.to_images(produced(), 3, (4, 5))
    assert image.shape == (3, 4, 5, 3) and image.dtype == torch.float32
    assert [float(picture.mean()) for picture in image] == [0.0, 0.5, 1.0]
    assert images.to_images([], 0, (4, 5)).shape == (0, 4, 5, 3)
