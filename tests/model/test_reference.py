from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from refldm_core.checkpoints.references import (
    StoredReferences,
    load_references,
    save_references,
    summarize_references,
)
from refldm_core.errors import CheckpointError, ReferencesError
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import Restorer


@pytest.fixture(scope="module")
def kv(restorer: Restorer, reference_images: Tensor) -> ReferenceKV:
    return restorer.encode_references(reference_images)


def _equal(a: ReferenceKV, b: ReferenceKV) -> bool:
    return a.count == b.count and all(
        torch.equal(a.layers[n].k, b.layers[n].k) and torch.equal(a.layers[n].v, b.layers[n].v) for n in a.layers
    )


def test_references_are_immutable(kv: ReferenceKV) -> None:
    with pytest.raises(FrozenInstanceError):
        kv.count = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        kv.layers["x"] = next(iter(kv.layers.values()))  # type: ignore[index]


def test_select_and_concat_are_inverse(kv: ReferenceKV) -> None:
    assert _equal(ReferenceKV.concat([kv.select(0), kv.select(1, 2)]), kv)
    assert kv.select(2, 2).count == 2
    assert kv.nbytes == sum(kv.select(i).nbytes for i in range(3))


def test_repeated_references_equal_written_out_ones(kv: ReferenceKV, tmp_path: Path) -> None:
    twice = kv.repeat(2)
    assert twice.count == 6 and twice.nbytes == kv.nbytes
    assert _equal(twice.written_out(), ReferenceKV.concat([kv, kv]))
    assert _equal(twice.select(1, 5), kv.select(1, 2))
    assert _equal(ReferenceKV.concat([twice, kv]), ReferenceKV.concat([kv, kv, kv]))
    assert all(layer.copies == 6 for layer in twice.repeat(3).to(dtype=torch.bfloat16).layers.values())
    save_references(StoredReferences(twice), tmp_path / "twice.safetensors", torch.float32)
    assert _equal(load_references(tmp_path / "twice.safetensors").references, twice.written_out())
    with pytest.raises(ReferencesError, match="0 times"):
        kv.repeat(0)


def test_memory_of_one_released_reference() -> None:
    """8.75 MiB in 16 bit (design: 4,587,520 numbers)."""
    from refldm_core.model.unet import UNet, UNetSpec

    with torch.device("meta"):
        unet = UNet(UNetSpec(), dtype=torch.float16)
        kv = unet.encode_references(torch.zeros(1, 8, 64, 64, dtype=torch.float16))
    assert len(kv.layers) == 16
    assert kv.nbytes == 2 * 4_587_520


def test_to_changes_the_type_and_returns_the_same_object_where_nothing_changes(kv: ReferenceKV) -> None:
    assert kv.to("cpu", torch.float32) is kv
    assert kv.to(dtype=torch.bfloat16).dtype == torch.bfloat16
    assert kv.dtype == torch.float32


@pytest.mark.parametrize("indices", [(), (3,), (-1,)])
def test_select_refuses_indices_outside(kv: ReferenceKV, indices: tuple[int, ...]) -> None:
    with pytest.raises(ReferencesError):
        kv.select(*indices)


class HostCopies(TorchDispatchMode):
    """Counts the operations that read a tensor in the CPU's memory."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self.count += func is torch.ops.aten._to_copy.default or any(t.device.type == "cpu" for t in tensors)
        return func(*args, **(kwargs or {}))


def test_select_copies_nothing_to_a_gpu() -> None:
    with FakeTensorMode():
        k = torch.empty(2, 3 * 16, 8, device="cuda")
        references = ReferenceKV({"layer": KeyValue(k, k)}, 3, (8, 8), "0123456789abcdef")
        with HostCopies() as copies:
            layer = references.select(2, 0).layers["layer"]
    assert copies.count == 0
    assert layer.k.device.type == "cuda" and layer.k.shape == (2, 2 * 16, 8) and layer.k.is_contiguous()


def test_select_passes_gradients_to_the_chosen_references_alone() -> None:
    k = torch.zeros(1, 3 * 2, 4, requires_grad=True)
    references = ReferenceKV({"layer": KeyValue(k, k.detach())}, 3, (1, 2), "0123456789abcdef")
    references.select(2, 0, 2).layers["layer"].k.sum().backward()
    assert k.grad is not None
    assert k.grad[0, :, 0].tolist() == [1, 1, 0, 0, 2, 2]


def test_another_model_or_latent_size_is_refused(kv: ReferenceKV, restorer: Restorer) -> None:
    x, t = torch.randn(1, 16, 16, 16), torch.tensor([5])
    with pytest.raises(ReferencesError, match="built with model 0123456789abcdef, not with model " + kv.fingerprint):
        restorer.unet(x, t, replace(kv, fingerprint="0123456789abcdef"))
    with pytest.raises(ReferencesError, match=r"latent size of 16x16, the picture has 24x16"):
        restorer.unet(torch.randn(1, 16, 24, 16), t, kv)
    with pytest.raises(ReferencesError, match="built with model"):
        ReferenceKV.concat([kv, replace(kv, fingerprint="other")])
    with pytest.raises(ReferencesError, match="bfloat16"):
        ReferenceKV.concat([kv, kv.to(dtype=torch.bfloat16)])


def test_uneven_tokens_are_refused(kv: ReferenceKV) -> None:
    with pytest.raises(ReferencesError, match="do not fit 5 references"):
        replace(kv, count=5)
    with pytest.raises(ReferencesError, match="empty"):
        ReferenceKV({}, 0, (16, 16), "x")


def test_file_round_trip(kv: ReferenceKV, tmp_path: Path) -> None:
    thumbnails = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    latents = torch.randn(3, 8, 16, 16)
    stored = StoredReferences(kv, ("a", "b", "ü"), thumbnails, latents)
    save_references(stored, tmp_path / "me.safetensors", torch.float32)
    loaded = load_references(tmp_path / "me.safetensors")
    assert _equal(loaded.references, kv)
    assert (loaded.references.fingerprint, loaded.references.latent_size) == (kv.fingerprint, kv.latent_size)
    assert loaded.names == ("a", "b", "ü")
    assert loaded.thumbnails is not None and torch.equal(loaded.thumbnails, thumbnails)
    assert loaded.latents is not None and torch.equal(loaded.latents, latents)
    save_references(stored, tmp_path / "me.safetensors")  # 16 bit by default, and replaces the older file
    assert load_references(tmp_path / "me.safetensors").references.dtype == torch.float16


def test_references_that_a_file_cannot_hold_are_refused(kv: ReferenceKV, tmp_path: Path, tiny: object) -> None:
    path = tmp_path / "me.safetensors"
    with pytest.raises(ReferencesError, match="do not fit 3 references"):
        StoredReferences(kv, ("a", "b"))
    layer = next(iter(kv.layers))
    huge = replace(kv, layers={**kv.layers, layer: replace(kv.layers[layer], k=kv.layers[layer].k * 1e6)})
    with pytest.raises(ReferencesError, match="float16 cannot hold"):
        save_references(StoredReferences(huge), path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="holds no references"):
        load_references(tiny.safetensors)  # type: ignore[attr-defined]


Tensors = dict[str, Tensor]
Described = dict[str, Any]
Damage = Callable[[Tensors, Described], object]


def _first(tensors: Tensors, ending: str) -> str:
    return next(name for name in sorted(tensors) if name.endswith(ending))


def _nan(tensors: Tensors, name: str) -> None:
    tensors[name].view(-1)[0] = float("nan")


DAMAGES: dict[str, tuple[Damage, str]] = {
    "nan in a key": (lambda t, d: _nan(t, _first(t, ".k")), "not finite"),
    "infinity in a value": (lambda t, d: t[_first(t, ".v")].fill_(float("inf")), "not finite"),
    "nan in a latent": (lambda t, d: _nan(t, "latents"), "latents has values that are not finite"),
    "no values": (lambda t, d: t.pop(_first(t, ".v")), "keys but no values"),
    "a number": (lambda t, d: t.update({_first(t, ".k"): torch.tensor(1.0)}), r"has the shape \(\)"),
    "flat keys": (lambda t, d: t.update({n: v.flatten() for n, v in t.items() if n.endswith(".k")}), "has the shape"),
    "whole numbers": (lambda t, d: t.update({n: v.int() for n, v in t.items() if n.endswith(".k")}), "torch.int32"),
    "superfluous": (lambda t, d: t.update(extra=torch.ones(3)), "tensor extra has the shape"),
    "odd thumbnails": (lambda t, d: t.update(thumbnails=torch.zeros(3, 1, 9, 9)), "tensor thumbnails has the shape"),
    "huge thumbnails": (lambda t, d: t.update(thumbnails=torch.zeros(3, 3, 2000, 1, dtype=torch.uint8)), "thumbnails"),
    "flat thumbnails": (lambda t, d: t.update(thumbnails=torch.tensor(3, dtype=torch.uint8)), "thumbnails"),
    "latents of another size": (lambda t, d: t.update(latents=torch.zeros(3, 8, 8, 8)), "latents has the shape"),
    "count infinity": (lambda t, d: d.update(count=float("inf")), "count is inf"),
    "count nan": (lambda t, d: d.update(count=float("nan")), "count is nan"),
    "count huge": (lambda t, d: d.update(count=10**4000), "count is a number of more than 70 digits"),
    "count text": (lambda t, d: d.update(count="three"), "count is 'three'"),
    "count 0": (lambda t, d: d.update(count=0), "count is 0"),
    "no count": (lambda t, d: d.pop("count"), "its metadata lacks 'count'"),
    "one side": (lambda t, d: d.update(latent_size=[16]), "holds no references"),
    "a side of text": (lambda t, d: d.update(latent_size=["x", 16]), "latent_size is 'x'"),
    "fingerprint": (lambda t, d: d.update(fingerprint={"a": 1}), "fingerprint is a dict"),
    "long fingerprint": (lambda t, d: d.update(fingerprint="x" * 10**6), "fingerprint is 'xxx"),
    "names": (lambda t, d: d.update(names=5), "holds no references"),
    "few names": (lambda t, d: d.update(names=["a"]), "do not fit 3 references"),
    "version": (lambda t, d: d.update(version=float("inf")), "does not describe any"),
}


def _damaged(kv: ReferenceKV, path: Path, damage: Damage, text: str | None = None) -> None:
    thumbnails, latents = torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.randn(3, 8, 16, 16)
    save_references(StoredReferences(kv, ("a", "b", "c"), thumbnails, latents), path, torch.float32)
    with safe_open(path, "pt") as file:
        described = json.loads(file.metadata()["refldm.references"])
    tensors = load_file(path)
    damage(tensors, described)
    save_file(tensors, path, {"refldm.references": json.dumps(described) if text is None else text})


def test_a_summary_reads_no_keys_and_values(kv: ReferenceKV, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "me.safetensors"
    thumbnails = torch.arange(3 * 3 * 4 * 4).reshape(3, 3, 4, 4).to(torch.uint8)
    save_references(StoredReferences(kv, thumbnails=thumbnails), path)
    read: list[str] = []

    class Recording:
        def __init__(self, *names: Any, **options: Any) -> None:
            self.file = safe_open(*names, **options)

        def __enter__(self) -> Any:
            self.file.__enter__()
            return self

        def __exit__(self, *_: Any) -> None:
            self.file.__exit__(None, None, None)

        def get_tensor(self, name: str) -> Tensor:
            read.append(name)
            return self.file.get_tensor(name)

        def keys(self) -> list[str]:
            return list(self.file.keys())

        def metadata(self) -> dict[str, str]:
            return self.file.metadata()

    monkeypatch.setattr("refldm_core.checkpoints.reading.safe_open", Recording)
    summary = summarize_references(path)
    assert (summary.count, summary.fingerprint) == (3, kv.fingerprint)
    assert summary.thumbnails is not None and torch.equal(summary.thumbnails, thumbnails)
    assert read == ["thumbnails"]


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_files_are_refused(case: str, kv: ReferenceKV, tmp_path: Path) -> None:
    damage, says = DAMAGES[case]
    path = tmp_path / "me.safetensors"
    _damaged(kv, path, damage)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_references(path)
    assert "holds no references that can be used" in str(caught.value) and len(str(caught.value)) < 700
    assert caught.value.expected and caught.value.remedy


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", "9" * 5000, "{"])
def test_damaged_metadata_is_refused(text: str, kv: ReferenceKV, tmp_path: Path) -> None:
    path = tmp_path / "me.safetensors"
    _damaged(kv, path, lambda t, d: None, text)
    with pytest.raises(CheckpointError, match="its metadata does not describe any"):
        load_references(path)


def _more_heads(t: Tensor) -> Tensor:
    return t.reshape(2 * len(t), -1, t.shape[2] // 2)


def test_layers_of_another_model_are_refused_whatever_the_fingerprint_says(kv: ReferenceKV, restorer: Restorer) -> None:
    """A file may claim the fingerprint of the model in use."""
    x, t = torch.randn(1, 16, 16, 16), torch.tensor([5])
    layer, *remaining = kv.layers
    heads = {n: KeyValue(_more_heads(v.k), _more_heads(v.v)) for n, v in kv.layers.items()}
    fewer = {n: KeyValue(v.k[:, ::2], v.v[:, ::2]) for n, v in kv.layers.items() if v.tokens % 6 == 0}
    for layers, says in (
        ({n: kv.layers[n] for n in remaining}, f"the layer {layer} is missing"),
        ({**kv.layers, "extra": kv.layers[layer]}, "the layer extra has the shape"),
        (heads, rf"the layer {layer} has the shape \({2 * len(kv.layers[layer].k)}, "),
        ({**kv.layers, **fewer}, "has the shape"),
    ):
        with pytest.raises(ReferencesError, match=says):
            restorer.unet(x, t, replace(kv, layers=layers))
    restorer.unet(x, t, kv.repeat(2))
    with pytest.raises(ReferencesError, match="have 4 channels"):
        restorer.unet.encode_references(torch.zeros(1, 4, 16, 16))


def test_a_file_without_pictures_holds_no_thumbnails_and_latents(kv: ReferenceKV, tmp_path: Path) -> None:
    """Thumbnails show the photos, and the first stage can decode the latents as photos."""
    thumbnails, latents = torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 16, 16)
    stored = StoredReferences(kv, ("a", "b", "c"), thumbnails, latents)
    assert replace(stored, latents=None).holds_pictures and replace(stored, thumbnails=None).holds_pictures
    assert stored.holds_pictures and not stored.without_pictures().holds_pictures
    save_references(stored.without_pictures(), tmp_path / "me.safetensors")
    assert all(name.endswith((".k", ".v")) for name in load_file(tmp_path / "me.safetensors"))
    loaded = load_references(tmp_path / "me.safetensors")
    assert not loaded.holds_pictures and loaded.names == ("a", "b", "c")
