"""A batch that the memory is not enough for is computed in smaller parts, with the same result."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from refldm_core import out_of_memory
from refldm_core.errors import ReferencesError
from refldm_core.face.identity import ArcFaceRecognizer
from refldm_core.out_of_memory import Parts
from refldm_core.pipeline import Restorer, SamplingSettings

from .face.test_parsing import constant_parser
from .face.toys import save_arcface
from .parity import assert_close


class Shortage:
    """Memory that is enough for few items at once, from one call on.

    Args:
        room: Largest batch that fits.
        call: Number of the first call that may fail, from 1.

    Attributes:
        sizes: Batch size of every call.
    """

    def __init__(self, room: int, call: int = 1) -> None:
        self.room, self.call = room, call
        self.sizes: list[int] = []

    def take(self, size: int) -> None:
        self.sizes.append(size)
        if len(self.sizes) >= self.call and size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")

    @contextmanager
    def inside(self, module: nn.Module) -> Iterator[Shortage]:
        """Let calls of a module fail."""
        hook = module.register_forward_pre_hook(lambda _, args: self.take(len(args[0])))
        try:
            yield self
        finally:
            hook.remove()


def squares(shortage: Shortage, parts: Parts, count: int) -> list[int]:
    """Compute the squares of the first numbers."""

    def compute(part: slice) -> list[int]:
        numbers = list(range(count))[part]
        shortage.take(len(numbers))
        return [number**2 for number in numbers]

    return [square for part in parts.run(compute, count) for square in part]


@pytest.mark.parametrize(
    ("count", "size", "room", "call", "sizes"),
    [
        (8, None, 8, 1, [8]),
        (8, None, 2, 1, [8, 4, 2, 2, 2, 2]),
        (8, 4, 2, 2, [4, 4, 2, 2]),  # the first part is kept
        (7, None, 1, 1, [7, 4, 2, 1, 1, 1, 1, 1, 1, 1]),
        (5, 2, 2, 1, [2, 2, 1]),
        (0, None, 1, 1, [0]),
    ],
)
def test_parts_halve_until_they_fit(count: int, size: int | None, room: int, call: int, sizes: list[int]) -> None:
    shortage = Shortage(room, call)
    assert squares(shortage, Parts("square {} numbers", size), count) == [i**2 for i in range(count)]
    assert shortage.sizes == sizes


def test_later_batches_start_with_the_size_that_fits() -> None:
    parts, shortage = Parts("square {} numbers"), Shortage(room=3)
    for _ in range(2):
        assert squares(shortage, parts, 6) == [0, 1, 4, 9, 16, 25]
    assert shortage.sizes == [6, 3, 3, 3, 3]


def test_one_warning_says_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        squares(Shortage(room=1), Parts("square {} numbers"), 8)
    assert caplog.messages == [
        "ReF-LDM: The memory was not enough to square 8 numbers at once (CUDA out of memory. Tried to allocate 2.00 "
        "GiB.). The work went on with 1 at a time."
    ]


def test_error_of_a_single_item_is_not_repeated() -> None:
    shortage = Shortage(room=0)
    with pytest.raises(torch.OutOfMemoryError):
        squares(shortage, Parts("square {} numbers"), 4)
    assert shortage.sizes == [4, 2, 1]


def test_other_errors_are_not_repeated() -> None:
    calls: list[slice] = []

    def compute(part: slice) -> None:
        calls.append(part)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        Parts("fail with {} numbers").run(compute, 4)
    assert calls == [slice(0, 4)]


def test_failed_tensors_are_gone_and_caches_are_empty_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[weakref.ref[Tensor]] = []
    alive_when_emptied: list[bool] = []
    empty = out_of_memory.empty_caches

    def record() -> None:
        empty()
        alive_when_emptied.append(failed[-1]() is not None)

    def compute(part: slice) -> int:
        tensor = torch.zeros(4)
        if part.stop - part.start > 1:
            failed.append(weakref.ref(tensor))
            error = torch.OutOfMemoryError("CUDA out of memory.")
            error.frame_of = lambda: (tensor, error)  # type: ignore[attr-defined]  # a reference cycle
            raise error
        return part.start

    monkeypatch.setattr(out_of_memory, "empty_caches", record)
    assert Parts("compute {} items").run(compute, 4) == [0, 1, 2, 3]
    assert alive_when_emptied == [False, False]


def restore_three(restorer: Restorer, images: Tensor) -> Tensor:
    references = restorer.encode_references(images, "separate")
    return restorer.restore(images.flip(-1), references, [1, 2, 3], SamplingSettings(steps=2))


STAGES: dict[str, tuple[str, Shortage, list[int]]] = {
    # The references are encoded one by one, and then the three pictures.
    "encode": ("first_stage.encoder", Shortage(1, call=4), [1, 1, 1, 3, 2, 1, 1, 1]),
    # The pass of the references, and two steps with two predictions for each picture. The null reference is kept.
    "references": ("unet.middle_block", Shortage(1), [3, 2, 1, 1, 1, 6, 3, 2, *[1] * 12]),
    "first step": ("unet.middle_block", Shortage(2, call=2), [3, 6, 3, *[2] * 6]),
    "last step": ("unet.middle_block", Shortage(3, call=3), [3, 6, 6, 3, 3]),
    "decode": ("first_stage.decoder", Shortage(2), [3, 2, 1]),
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_falls_back_to_the_same_picture(stage: str, restorer: Restorer, reference_images: Tensor) -> None:
    expected = restore_three(restorer, reference_images)
    name, shortage, sizes = STAGES[stage]
    module = restorer
    for attribute in name.split("."):
        module = getattr(module, attribute)
    assert isinstance(module, nn.Module)
    with Shortage(shortage.room, shortage.call).inside(module) as used:
        assert_close(restore_three(restorer, reference_images), expected, "dec.image")
    assert used.sizes == sizes
    with Shortage(room=6).inside(module) as used:  # the next run is not slower
        assert_close(restore_three(restorer, reference_images), expected, "dec.image")
    assert max(used.sizes) == (6 if "unet" in name else 3)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_single_picture_that_does_not_fit_fails_and_the_next_run_works(
    name: str, restorer: Restorer, reference_images: Tensor
) -> None:
    expected = restore_three(restorer, reference_images)
    with Shortage(room=0).inside(getattr(restorer.first_stage, name)), pytest.raises(torch.OutOfMemoryError):
        restore_three(restorer, reference_images)
    assert torch.equal(restore_three(restorer, reference_images), expected)


def test_joint_encoding_that_does_not_fit_names_separate_encoding(restorer: Restorer, reference_images: Tensor) -> None:
    """All references are one picture, and its parts would have other latents. So there is no fallback."""
    with (
        Shortage(room=0).inside(restorer.first_stage.encoder) as shortage,
        pytest.raises(ReferencesError, match="Encoding 3 references jointly") as caught,
    ):
        restorer.encode_references(reference_images)
    assert shortage.sizes == [1]
    assert "--reference-encoding separate" in caught.value.remedy and caught.value.expected
    assert restorer.encode_references(reference_images).count == 3


def test_parser_takes_one_face_at_a_time_and_works_after_an_error(tmp_path: Path) -> None:
    pytest.importorskip("facexlib")
    parser, crops = constant_parser(tmp_path, "bisenet", 1), torch.zeros(3, 3, 64, 64)
    expected = parser.labels(crops)
    with Shortage(room=0, call=2).inside(parser.module) as shortage, pytest.raises(torch.OutOfMemoryError):
        parser.labels(crops)
    assert shortage.sizes == [1, 1]
    assert torch.equal(parser.labels(crops), expected)


def test_recognizer_falls_back_to_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    save_arcface(tmp_path / "w600k_r50.onnx")
    recognizer = ArcFaceRecognizer(tmp_path / "w600k_r50.onnx")
    crops = torch.randn(5, 3, 112, 112, generator=torch.Generator().manual_seed(0)).clamp(-1.0, 1.0)
    expected, session, shortage = recognizer.embed(crops), recognizer._session, Shortage(room=2)

    class FullSession:
        def run(self, names: None, inputs: dict[str, Any]) -> Any:
            shortage.take(len(next(iter(inputs.values()))))
            return session.run(names, inputs)

    monkeypatch.setattr(recognizer, "_session", FullSession())
    np.testing.assert_allclose(recognizer.embed(crops), expected, atol=1e-6)
    assert shortage.sizes == [5, 3, 2, 2, 1]
