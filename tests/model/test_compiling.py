"""Compiling changes nothing but the speed, and its failure not even that."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from refldm_core.errors import ReferencesError
from refldm_core.model.compiling import compile_unet, is_compiled
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet, UNetSpec
from refldm_core.pipeline import Restorer, SamplingSettings

from ..old_torch import needs_traced_mappings
from ..parity import difference, tolerance

Compiled = Callable[..., Any]

SMALL = UNetSpec(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_downsampling=(2,))
"""Every kind of layer once or twice, so that tracing it takes a second."""
SIZE = (8, 8)


@pytest.fixture(scope="module")
def plain(restorer: Restorer) -> Restorer:
    torch.manual_seed(0)
    return Restorer(UNet(SMALL), restorer.first_stage, replace(restorer.spec, unet=SMALL))


@pytest.fixture
def ours(plain: Restorer) -> Iterator[Restorer]:
    """The same, whose U-Net may be compiled."""
    torch.compiler.reset()
    yield Restorer(copy.deepcopy(plain.unet), plain.first_stage, plain.spec)
    torch.compiler.reset()


@pytest.fixture(scope="module")
@torch.no_grad()
def kv(plain: Restorer) -> ReferenceKV:
    return plain.unet.encode_references(torch.randn(3, 8, *SIZE, generator=torch.Generator().manual_seed(0)))


class Counting:
    """A back end that runs the traced graph as it is, and counts how often it was asked to compile."""

    def __init__(self) -> None:
        self.compiled = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Compiled:
        self.compiled += 1
        return graph.forward


class Failing(Counting):
    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Compiled:
        super().__call__(graph, inputs)
        raise RuntimeError("no compiler here\nand much more")


def _inputs(rows: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 16, *SIZE, generator=torch.Generator().manual_seed(1))
    return x, torch.full((rows,), 499)


@torch.no_grad()
@needs_traced_mappings
def test_the_whole_network_is_one_graph(restorer: Restorer, reference_images: Tensor) -> None:
    """Of every depth, with what the compilers see of it, short of their making machine code."""
    kv, null = restorer.encode_references(reference_images), restorer.null_references(3, (16, 16))
    x = torch.randn(2, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.compiler.reset()
    compiled = torch.compile(restorer.unet.forward, backend="aot_eager", fullgraph=True)  # raises where it would break
    for sets in ([null, kv], [kv], [None]):
        inputs = x[: len(sets)], torch.full((len(sets),), 499), sets
        assert difference(compiled(*inputs), restorer.unet(*inputs)) <= tolerance("unet.t499")


@needs_traced_mappings
def test_what_compiles_again(ours: Restorer, plain: Restorer, kv: ReferenceKV) -> None:
    """Another picture does not; the steps without guidance do once, and so does another number of references."""
    backend = Counting()
    compile_unet(ours.unet, backend=backend)
    assert is_compiled(ours.unet) and backend.compiled == 0
    latents = torch.randn(3, 8, *SIZE, generator=torch.Generator().manual_seed(2))
    settings = SamplingSettings(steps=4, guidance_interval=(300, 900))

    def compilations(image: int, references: ReferenceKV) -> int:
        before = backend.compiled
        lq = latents[image : image + 1]
        right = plain.sample(lq, references, [image], settings)
        torch.testing.assert_close(ours.sample(lq, references, [image], settings), right, rtol=1e-4, atol=1e-4)
        return backend.compiled - before

    assert compilations(0, kv) == 2
    assert compilations(1, kv) == 0
    assert compilations(0, kv.select(1, 2)) <= 2
    assert compilations(1, kv.select(2, 0)) == 0
    assert compilations(2, kv) == 0
    assert is_compiled(ours.unet)


@torch.no_grad()
def test_where_compiling_fails_it_runs_as_before(ours: Restorer, kv: ReferenceKV) -> None:
    x, t = _inputs(2)
    right = ours.unet(x, t, kv)
    backend = Failing()
    compile_unet(ours.unet, backend=backend)
    with pytest.warns(UserWarning, match="could not be compiled, and runs uncompiled: .*no compiler here$"):
        assert torch.equal(ours.unet(x, t, kv), right)
    assert not is_compiled(ours.unet)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(ours.unet(x, t, kv), right)
    assert backend.compiled == 1, "it is not tried again"


@torch.no_grad()
def test_where_torch_cannot_compile_at_all(ours: Restorer, kv: ReferenceKV, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*args: object, **kwargs: object) -> None:
        raise RuntimeError("torch.compile is not supported on this Python")

    said: list[str] = []
    monkeypatch.setattr(torch, "compile", unsupported)
    compile_unet(ours.unet, on_failure=said.append)
    assert len(said) == 1 and said[0].endswith("is not supported on this Python") and not is_compiled(ours.unet)
    assert ours.unet(*_inputs(2), kv).isfinite().all()


@torch.no_grad()
def test_an_error_of_the_callers_stays_one(ours: Restorer, kv: ReferenceKV) -> None:
    said: list[str] = []
    compile_unet(ours.unet, backend="eager", on_failure=said.append)
    x, t = _inputs(2)
    with pytest.raises(ReferencesError, match="1 reference sets were given for 2 images"):
        ours.unet(x, t, [kv])
    assert is_compiled(ours.unet) and not said
    assert ours.unet(x, t, kv).isfinite().all()
    assert is_compiled(ours.unet) and not said


@torch.no_grad()
@needs_traced_mappings
def test_full_memory_is_no_failure_of_the_compiler(ours: Restorer, kv: ReferenceKV) -> None:
    """The caller then computes smaller parts. Running the same batch uncompiled would take more memory."""

    def fill_memory(*args: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    said: list[str] = []
    compile_unet(ours.unet, backend=lambda graph, inputs: fill_memory, on_failure=said.append)
    with pytest.raises(torch.OutOfMemoryError):
        ours.unet(*_inputs(2), kv)
    assert is_compiled(ours.unet) and not said


@torch.no_grad()
@needs_traced_mappings
def test_a_copy_has_weights_of_its_own_and_is_not_compiled(ours: Restorer, kv: ReferenceKV) -> None:
    backend = Counting()
    compile_unet(ours.unet, backend=backend)
    x, t = _inputs(1)
    before = ours.unet(x, t, kv)
    other: UNet = copy.deepcopy(ours.unet)
    assert not is_compiled(other) and is_compiled(ours.unet)
    for parameter in other.parameters():
        parameter.zero_()
    assert not other(x, t, kv).any()
    assert torch.equal(ours.unet(x, t, kv), before) and backend.compiled == 1
