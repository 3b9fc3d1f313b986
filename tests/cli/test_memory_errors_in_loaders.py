"""Functions that meet too little memory pass the error on: they call no file damaged, and leave no metric out."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from refldm_core.checkpoints import reading
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.errors import CheckpointError, OutputError
from refldm_core.evaluation import learned
from refldm_core.face import onnx_files
from refldm_core.training import loop, run_files
from refldm_core.training.recognition import differentiable_recognizer

from .memory_errors import CPU_FULL, GPU_FULL, failing


def test_safetensors_file_that_does_not_fit_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x10" + bytes(7) + b"{" + bytes(15))
    error = reading.SafetensorError("I/O error: Cannot allocate memory (os error 12)")
    monkeypatch.setattr(reading, "safe_open", failing(error))
    with pytest.raises(reading.SafetensorError):
        read_tensors(path)


def test_onnx_file_that_does_not_fit_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network.onnx").write_bytes(b"any")
    runtime = SimpleNamespace(
        SessionOptions=SimpleNamespace,
        InferenceSession=failing(Exception("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer")),
    )
    monkeypatch.setattr(onnx_files, "import_optional", lambda *_: runtime)
    with pytest.raises(Exception, match="requested buffer") as caught:
        onnx_files.onnx_session(tmp_path / "network.onnx")
    assert not isinstance(caught.value, CheckpointError)


def test_metric_that_does_not_fit_is_not_reported_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "open_pair_metric", failing(GPU_FULL))
    with pytest.raises(torch.OutOfMemoryError):
        learned.open_learned(["lpips"])
    monkeypatch.setattr(learned, "open_pair_metric", failing(RuntimeError("no network")))
    assert "no network" in learned.open_learned(["lpips"]).absent["lpips"]


def test_training_state_that_does_not_fit_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = run_files.RunState([], [], {}, None)
    monkeypatch.setattr(run_files, "check_zip", lambda path: None)
    monkeypatch.setattr(torch, "load", failing(CPU_FULL))
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        state.load(tmp_path / "state.pt")
    with pytest.raises(OSError, match="Cannot allocate memory"), loop._output_errors(tmp_path):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    with pytest.raises(OutputError), loop._output_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_recognizer_that_does_not_fit_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx2torch")
    monkeypatch.setattr(onnx, "load", failing(MemoryError()))
    (tmp_path / "recognizer.onnx").write_bytes(b"any")
    with pytest.raises(MemoryError):
        differentiable_recognizer(tmp_path / "recognizer.onnx")
