"""The type that `auto` chooses on recorded devices, float32 without TF32, and the refusal of results with NaN."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from refldm_core.cli.options import choose_dtype
from refldm_core.errors import NotFiniteError
from refldm_core.model.precision import (
    DeviceProperties,
    device_properties,
    exact_float32,
    half_precision,
    require_finite_values,
)
from refldm_core.pipeline import Restorer, SamplingSettings

NVIDIA = {
    ("NVIDIA GeForce GTX 960", (5, 2)): "float32",
    ("NVIDIA GeForce GTX 1060 6GB", (6, 1)): "float32",
    ("NVIDIA GeForce MX150", (6, 1)): "float32",
    ("Tesla V100-SXM2-16GB", (7, 0)): "float16",
    ("NVIDIA GeForce GTX 1660 Ti", (7, 5)): "float32",
    ("NVIDIA GeForce GTX 1660 SUPER", (7, 5)): "float32",
    ("NVIDIA GeForce GTX 1650", (7, 5)): "float32",
    ("NVIDIA GeForce GTX 1650 with Max-Q Design", (7, 5)): "float32",
    ("NVIDIA GeForce GTX 1630", (7, 5)): "float32",
    ("NVIDIA GeForce MX450", (7, 5)): "float32",
    ("NVIDIA GeForce MX550", (7, 5)): "float32",
    ("Quadro T1000", (7, 5)): "float32",
    ("NVIDIA T400 4GB", (7, 5)): "float32",
    ("NVIDIA T550 Laptop GPU", (7, 5)): "float32",
    ("NVIDIA T1200 Laptop GPU", (7, 5)): "float32",
    ("Quadro T2000 with Max-Q Design", (7, 5)): "float32",
    ("NVIDIA CMP 30HX", (7, 5)): "float32",
    ("NVIDIA GeForce RTX 2060", (7, 5)): "float16",
    ("Quadro RTX 4000", (7, 5)): "float16",
    ("Tesla T4", (7, 5)): "float16",
    ("GRID T4-16Q", (7, 5)): "float16",
    ("NVIDIA A100-SXM4-40GB", (8, 0)): "bfloat16",
    ("NVIDIA GeForce RTX 3060", (8, 6)): "bfloat16",
    ("NVIDIA GeForce MX570", (8, 6)): "bfloat16",
    ("NVIDIA GeForce RTX 4060", (8, 9)): "bfloat16",
    ("NVIDIA H100 80GB HBM3", (9, 0)): "bfloat16",
    ("NVIDIA GeForce RTX 5090", (12, 0)): "bfloat16",
    ("AMD Radeon RX 6800 [ZLUDA]", (8, 8)): "float16",
}
"""Name and compute capability -> type."""

AMD = {
    ("AMD Radeon RX 580", "gfx803", (8, 0)): "float16",
    ("AMD Radeon RX Vega 64", "gfx900:xnack-", (9, 0)): "float16",
    ("AMD Radeon VII", "gfx906:sramecc+:xnack-", (9, 0)): "float16",
    ("AMD Radeon Graphics", "gfx90c:xnack-", (9, 0)): "float16",
    ("AMD Radeon RX 5700", "gfx1010:xnack-", (10, 1)): "float16",
    ("AMD Radeon RX 6800", "gfx1030", (10, 3)): "float16",
    ("AMD Radeon RX 6600", "gfx1032", (10, 3)): "float16",
    ("AMD Instinct MI100", "gfx908:sramecc+:xnack-", (9, 0)): "bfloat16",
    ("AMD Instinct MI210", "gfx90a:sramecc+:xnack-", (9, 0)): "bfloat16",
    ("AMD Instinct MI300X", "gfx942:sramecc+:xnack-", (9, 4)): "bfloat16",
    ("AMD Radeon RX 7900 XTX", "gfx1100", (11, 0)): "bfloat16",
    ("Radeon 8060S Graphics", "gfx1151", (11, 5)): "bfloat16",
    ("AMD Radeon RX 9070 XT", "gfx1201", (12, 0)): "bfloat16",
}
"""Name, architecture and what ROCm gives as compute capability -> type."""

INTEL = {
    ("Intel(R) Arc(TM) A770 Graphics", True, True): "bfloat16",
    ("Intel(R) UHD Graphics 770", True, False): "float16",
    ("Intel(R) Arc(TM) A770 Graphics", True, None): "float16",  # torch before 2.6 does not say more
}
"""Name, has_fp16 and has_bfloat16_conversions -> type."""


def _pretend(monkeypatch: pytest.MonkeyPatch, backend: str, **properties: Any) -> torch.device:
    """The device of a backend, which has these properties for the rest of the test."""
    known = SimpleNamespace(**{name: value for name, value in properties.items() if value is not None})
    monkeypatch.setattr(getattr(torch, backend), "get_device_properties", lambda device: known)
    return torch.device(backend, 0)


@pytest.mark.parametrize("card", NVIDIA, ids=lambda card: card[0])
def test_auto_type_on_nvidia(card: tuple[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    name, (major, minor) = card
    # torch's build for NVIDIA repeats the name as the architecture.
    device = _pretend(monkeypatch, "cuda", name=name, major=major, minor=minor, gcnArchName=name)
    assert choose_dtype("auto", device) == getattr(torch, NVIDIA[card])


@pytest.mark.parametrize("card", AMD, ids=lambda card: card[0])
def test_auto_type_on_amd(card: tuple[str, str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    name, architecture, (major, minor) = card
    device = _pretend(monkeypatch, "cuda", name=name, major=major, minor=minor, gcnArchName=architecture)
    assert device_properties(device).architecture == architecture
    assert choose_dtype("auto", device) == getattr(torch, AMD[card])


@pytest.mark.parametrize("card", INTEL, ids=str)
def test_auto_type_on_intel(card: tuple[str, bool, bool | None], monkeypatch: pytest.MonkeyPatch) -> None:
    name, float16, bfloat16 = card
    device = _pretend(monkeypatch, "xpu", name=name, has_fp16=float16, has_bfloat16_conversions=bfloat16)
    assert choose_dtype("auto", device) == getattr(torch, INTEL[card])


def test_auto_type_on_apple_and_on_cpus() -> None:
    assert choose_dtype("auto", torch.device("mps")) == torch.float32
    assert half_precision(DeviceProperties("cpu")) == torch.float32
    assert half_precision(DeviceProperties("cpu", bfloat16=True)) == torch.bfloat16


def test_a_type_that_is_named_is_taken_on_every_device() -> None:
    assert choose_dtype("float16", torch.device("cuda", 0)) == torch.float16


CUDNN: Any = torch.backends.cudnn
newer_settings = pytest.mark.skipif(not hasattr(CUDNN, "conv"), reason="this torch has the one setting only")


@pytest.fixture
def _settings() -> Iterator[None]:
    """torch's own settings, whatever the test does to them."""
    yield
    if hasattr(CUDNN, "conv"):
        torch.backends.fp32_precision = "none"
        CUDNN.fp32_precision = CUDNN.conv.fp32_precision = CUDNN.rnn.fp32_precision = "none"
    CUDNN.allow_tf32 = True


def _convolves_in_tf32() -> bool:
    return CUDNN.conv.fp32_precision == "tf32" if hasattr(CUDNN, "conv") else CUDNN.allow_tf32


@pytest.mark.usefixtures("_settings")
def test_exact_float32_switches_tf32_off_for_its_block_alone() -> None:
    assert _convolves_in_tf32()
    with exact_float32():
        with exact_float32():
            assert not _convolves_in_tf32()
        assert not _convolves_in_tf32(), "an inner block must not end the outer one"
        assert CUDNN.allow_tf32 is False, "programs that read the older setting must still be able to"
    with pytest.raises(ZeroDivisionError), exact_float32():
        raise ZeroDivisionError
    assert _convolves_in_tf32() and CUDNN.allow_tf32 is True


@pytest.mark.usefixtures("_settings")
def test_exact_float32_leaves_what_is_exact_as_it_is() -> None:
    CUDNN.allow_tf32 = False
    with exact_float32():
        assert not _convolves_in_tf32()
    assert CUDNN.allow_tf32 is False


@newer_settings
@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize("mixed", ["everything in TF32", "convolutions and not recurrent networks", "all older"])
def test_exact_float32_with_settings_of_either_kind(mixed: str) -> None:
    if mixed == "everything in TF32":  # then the older setting cannot switch it off
        torch.backends.fp32_precision = "tf32"
    elif mixed == "convolutions and not recurrent networks":  # then the older setting cannot be read
        CUDNN.rnn.fp32_precision = "ieee"
        with pytest.raises(RuntimeError, match="mix of the legacy and new"):
            assert CUDNN.allow_tf32
    else:
        CUDNN.allow_tf32 = True
    before = (CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision, torch.backends.fp32_precision)
    with exact_float32():
        assert CUDNN.conv.fp32_precision != "tf32"
    assert (CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision, torch.backends.fp32_precision) == before


def test_exact_float32_in_torch_before_2_9(monkeypatch: pytest.MonkeyPatch) -> None:
    older = SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends, "cudnn", older)
    with exact_float32():
        assert older.allow_tf32 is False
    assert vars(older) == {"allow_tf32": True}


def test_a_restorer_computes_without_tf32(
    restorer: Restorer, golden: dict[str, Tensor], reference_images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every network call of every public way, and the setting is back afterwards."""
    seen: set[str] = set()

    def watch(network: torch.nn.Module, part: str) -> None:
        method = getattr(network, part)

        def watched(*args: Any, **kwargs: Any) -> Any:
            assert not _convolves_in_tf32(), part
            seen.add(part)
            return method(*args, **kwargs)

        monkeypatch.setattr(network, part, watched)

    for part in ("encode", "decode"):
        watch(restorer.first_stage, part)
    for part in ("forward", "encode_references"):
        watch(restorer.unet, part)
    references = restorer.encode_references(reference_images)
    restorer.null_references(1, (16, 16))
    restorer.restore(golden["in.lq"], references, [0], SamplingSettings(steps=1))
    assert seen == {"encode", "decode", "forward", "encode_references"}
    assert _convolves_in_tf32()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    sound = torch.zeros(2, 3)
    require_finite_values("pictures", sound, sound, remedy="none")
    spoilt = torch.zeros(4, dtype=torch.float16)
    spoilt[2] = value
    with pytest.raises(NotFiniteError, match=r"(?s)pictures have values that are not finite.*Remedy: mend it"):
        require_finite_values("pictures", sound, spoilt, remedy="mend it")
