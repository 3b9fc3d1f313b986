"""Out-of-memory errors are recognized in the real words of each library, and similar errors are not."""

from __future__ import annotations

import errno

import pytest
import torch

from refldm_core.errors import CheckpointError
from refldm_core.out_of_memory import is_out_of_memory


class _WindowsError(OSError):
    """An error of Windows. Only there Python's OSError has the attribute `winerror`."""

    winerror = 1455


_TORCH = "DefaultCPUAllocator: "
OUT_OF_MEMORY: list[Exception] = [
    MemoryError(),
    MemoryError("Cannot allocate memory (os error 12)"),  # safetensors on Linux
    MemoryError("Unable to allocate 512. TiB for an array with shape (70368744177664,) and data type float64"),
    torch.OutOfMemoryError("Allocation on device "),
    torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which 1.03 GiB is "
        "free. Including non-PyTorch memory, this process has 6.75 GiB memory in use."
    ),
    torch.OutOfMemoryError("HIP out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 15.98 GiB"),
    torch.OutOfMemoryError("XPU out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 15.56 GiB"),
    RuntimeError("CUDA out of memory. Tried to allocate 1.17 GiB (GPU 0; 6.00 GiB total capacity; 3.90 GiB allocated)"),
    RuntimeError(
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call"
    ),
    RuntimeError("HIP error: out of memory"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError(
        "MPS backend out of memory (MPS allocated: 17.72 GB, other allocations: 388.00 MB, max allowed: 18.13 GB). "
        "Tried to allocate 256.00 MB on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit"
    ),
    RuntimeError("Invalid buffer size: 24.00 GiB"),  # MPS
    RuntimeError(
        f"[enforce fail at alloc_cpu.cpp:127] err == 0. {_TORCH}can't allocate memory: you tried to allocate "
        "281474976710656 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError(
        f"[enforce fail at alloc_cpu.cpp:117] data. {_TORCH}not enough memory: you tried to allocate 9 bytes."
    ),
    RuntimeError("unable to mmap 1171068073 bytes from file </models/refldm.ckpt>: Cannot allocate memory (12)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
    RuntimeError("Could not allocate tensor with 268435456 bytes. There is not enough GPU video memory available!"),
    Exception(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:"
        "'Conv_0' Status Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 209715200"
    ),
    Exception("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0"),
    Exception("OpenCV(4.10.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 35184372088832 bytes"),
    Exception("std::bad_alloc"),
    RuntimeError("bad allocation"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    _WindowsError(errno.EINVAL, "The paging file is too small for this operation to complete"),
    OSError("[WinError 1455] The paging file is too small for this operation to complete. Error loading c10.dll"),
    OSError("Die Auslagerungsdatei ist zu klein, um diesen Vorgang durchzuführen. (os error 1455)"),  # safetensors
    RuntimeError("Couldn't open shared file mapping: <torch_13684_2388093858_0>, error code: <1455>"),
]

OTHER_ERRORS: list[BaseException] = [
    RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously"),
    RuntimeError("HIP error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: misaligned address"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
        "location. Please clone() the tensor before performing the operation."
    ),
    RuntimeError("Unsupported memory format. Supports Channels Last, Contiguous Format"),
    RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned to memory"),
    RuntimeError(
        "DataLoader worker (pid 4242) is killed by signal: Bus error. It is possible that dataloader's workers are out "
        "of shared memory. Please try to raise your shared memory limit."
    ),
    RuntimeError("out of resource: shared memory, Required: 102400, Hardware limit: 101376. Reducing block sizes"),
    RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0"),
    OSError(errno.ENOSPC, "No space left on device"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "out of memory.png"),
    CheckpointError("There is no file out of memory.ckpt."),
    ValueError("memory"),
    KeyboardInterrupt("out of memory"),
]


def _id(error: BaseException) -> str:
    return f"{type(error).__name__} {str(error)[:40]}"


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=_id)
def test_out_of_memory_errors_are_recognized(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=_id)
def test_other_errors_are_not_taken_for_out_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_a_real_allocation_error_of_torch_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 46)
    assert is_out_of_memory(caught.value)
