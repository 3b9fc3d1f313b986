#!/usr/bin/env python3
"""Set everything up in .venv and run it. Needs Python 3.10 or newer and nothing else.

python dev.py demo [OPTIONS]     set up, then see everything at work on drawn people (`refldm demo`)
python dev.py test [OPTIONS]     set up, then check style, spelling and types, and run the tests (options go to pytest)
python dev.py check              set up, then check style, spelling and types only
python dev.py refldm COMMAND     set up, then run a command, such as: python dev.py refldm restore --help

A PyTorch that .venv already holds is kept, whatever its version and build.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"

PYTORCH_INDEX = "https://download.pytorch.org/whl"
# PyTorch 2.11's CUDA builds. 12.6 alone runs on GPUs before Turing (compute capability 7.5), 13.0 alone needs driver
# 580. 12.8 runs on all others: any driver for CUDA 12 can run it.
CUDA_FOR_OLD_GPUS, CUDA_FOR_OLD_DRIVERS, CUDA_NEWEST = "cu126", "cu128", "cu130"
PROBE_SECONDS = 5.0

# OpenCV's distributions all write the folder cv2. pyiqa asks for the first, facexlib and insightface for the second.
OPENCV = ("opencv-python-headless", "opencv-python")

TEXTS = (
    *("nodes", "refldm_core", "js", "docs", "workflows", "tests", "benchmarks", "training"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "dev.py", "locales/README.md"),
)
CHECKS = {
    "style": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "spelling": ["codespell_lib", *TEXTS],
    "types": ["pyright", "--pythonpath", str(PYTHON)],
}


class Gpu(NamedTuple):
    """The newest NVIDIA GPU: its compute capability, and the major version of the driver; 0 where not known."""

    capability: float = 0.0
    driver: int = 0


class Distribution(NamedTuple):
    """What pip installed under one name: its version, and the requirements in its metadata."""

    version: str
    needs: tuple[str, ...] = ()


def main(words: list[str]) -> int:
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in ("demo", "test", "check", "refldm"):
        print(__doc__)
        return 0 if command in ("", "-h", "--help") else 2
    extras = {"train": "[train]", "evaluate": "[evaluate]", "benchmark-table": "[evaluate]"}
    checking = command in ("test", "check")
    set_up("[dev]" if checking else extras.get(rest[0] if rest else "", "[faces]"))
    if checking:
        return run_checks({**CHECKS, "tests": ["pytest", *rest]} if command == "test" else CHECKS)
    refldm = [str(PYTHON), "-m", "refldm_core"]
    # The core is installed from this folder, so that the command works from any other one.
    return subprocess.run([*refldm, *(["demo"] if command == "demo" else []), *rest], check=False).returncode


def set_up(extras: str) -> None:
    """Make .venv and install the project into it; nothing where that was done before with the same PyTorch."""
    if sys.version_info < (3, 10):  # noqa: UP036 (what runs this file is not yet known to be new enough)
        raise SystemExit(f"This is Python {sys.version.split()[0]}; please run dev.py with Python 3.10 or newer.")
    files = [ROOT / "pyproject.toml", CONSTRAINTS]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = VENV / f"set-up{extras}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == f"{wanted} {torch_in_venv()}":
        return
    if not PYTHON.exists():
        print(f"Making {VENV} ...", flush=True)
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            remedy = "On Debian or Ubuntu run first: sudo apt install python3-venv"
            raise SystemExit(f"Python could not make a virtual environment ({error}).\n{remedy}") from error
    print("Installing (PyTorch is large: the first time takes a few minutes) ...", flush=True)
    install_torch()
    torch = torch_in_venv()
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"{torch}\n", encoding="utf-8")
        pip("install", "-c", str(constraints), "-e", f"{ROOT}{extras}")
    keep_one_opencv()
    stamp.write_text(f"{wanted} {torch}", encoding="utf-8")


def torch_in_venv() -> str:
    """The PyTorch in .venv as a requirement, such as torch==2.11.0+cpu; empty where there is none."""
    torch = installed("torch").get("torch")
    return "" if torch is None else f"torch=={torch.version}"


def install_torch() -> None:
    """Install PyTorch where there is none, and the torchvision that fits the PyTorch that is there."""
    there = installed("torch", "torchvision")
    torch = there["torch"].version if "torch" in there else None
    if torch is not None:
        if "torchvision" in there and fits(there["torchvision"], torch):
            return
        index, wanted = index_of_build(torch), [f"torch=={torch}", "torchvision"]
    else:
        index = torch_index(sys.platform, platform.machine(), nvidia_gpu(sys.platform))
        wanted = ["torch", "torchvision", "-c", str(CONSTRAINTS)]
    if index is not None and not reachable(index):
        print(f"PyTorch's package index {index} cannot be reached; pip's default index is used instead.", flush=True)
        if torch is None:
            print(f"Its PyTorch is {default_build(sys.platform)}. To replace it later, run", flush=True)
            print(f"  {PYTHON} -m pip install --force-reinstall torch torchvision --index-url {index}", flush=True)
        index = None
    pip("install", *wanted, *([] if index is None else ["--index-url", index]))


def fits(torchvision: Distribution, torch: str) -> bool:
    """Whether a torchvision is for a version of torch; each is for just one."""
    needed = [re.match(r"torch *\(?== *([^ ;)]+)", need) for need in torchvision.needs]
    return any(match and match[1] in (torch, torch.partition("+")[0]) for match in needed)


def torch_index(system: str, machine: str, gpu: Gpu | None) -> str | None:
    """The package index with the PyTorch build for a machine; None for pip's default one.

    Args:
        system: as `sys.platform`.
        machine: as `platform.machine()`.
        gpu: None where there is no NVIDIA driver.
    """
    if system not in ("win32", "linux") or machine.lower() not in ("x86_64", "amd64"):
        return None
    if gpu is None:
        return f"{PYTORCH_INDEX}/cpu" if system == "linux" else None  # Windows gets the CPU build by default
    if 0 < gpu.capability < 7.5:
        build = CUDA_FOR_OLD_GPUS
    else:
        build = CUDA_NEWEST if gpu.driver >= 580 else CUDA_FOR_OLD_DRIVERS
    if system == "linux" and build == CUDA_NEWEST:
        return None  # what the default index has
    return f"{PYTORCH_INDEX}/{build}"


def index_of_build(version: str) -> str | None:
    """The package index that an installed PyTorch is from, by its version's suffix, such as 2.11.0+cu128."""
    build = version.partition("+")[2]
    return f"{PYTORCH_INDEX}/{build}" if re.fullmatch(r"cpu|xpu|cu\d+|rocm[\d.]+", build) else None


def default_build(system: str) -> str:
    """What PyTorch's build on the default index is."""
    return {"win32": "for the CPU only", "linux": "the large one for new NVIDIA GPUs and drivers"}.get(
        system, "the usual one"
    )


def nvidia_gpu(
    system: str,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> Gpu | None:
    """What there is of NVIDIA's; None where there is no driver. refldm_core/hardware.py has a twin of the test."""
    program = which("nvidia-smi")
    if not (program or exists(r"C:\Windows\System32\nvcuda.dll" if system == "win32" else "/proc/driver/nvidia")):
        return None
    words = [program or "nvidia-smi", "--query-gpu=compute_cap,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        answer = ""
    gpus = [Gpu(float(capability), int(driver)) for capability, driver in re.findall(r"(\d+\.\d+), (\d+)\.", answer)]
    return max(gpus, default=Gpu())


def reachable(index: str) -> bool:
    """Whether a package index answers; asked before pip, which would try for minutes."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PROBE_SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


def installed(*names: str) -> dict[str, Distribution]:
    """The distributions of these names that .venv holds."""
    code = (
        "import importlib.metadata as metadata, json, sys; print(json.dumps("
        "{name: [d.version, d.requires or []] for name in sys.argv[1:] for d in metadata.distributions(name=name)}))"
    )
    if not PYTHON.exists():
        return {}
    answer = subprocess.run([str(PYTHON), "-c", code, *names], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: Distribution(version, tuple(needs)) for name, (version, needs) in json.loads(answer).items()}


def keep_one_opencv() -> None:
    """Keep one of two OpenCV distributions: the one without windows, which needs no desktop's libraries."""
    headless, full = OPENCV
    there = installed(*OPENCV)
    if len(there) == 2:
        pip("uninstall", "--yes", full)
        # It took files of the one that stays with it.
        pip("install", "--force-reinstall", "--no-deps", f"{headless}=={there[headless].version}")


def pip(command: str, *words: str) -> None:
    quiet = [str(PYTHON), "-m", "pip", command, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*quiet, *words], check=True)


def run_checks(checks: dict[str, list[str]]) -> int:
    """Run checks (name -> Python module and its options), and say at the end which ones failed."""
    failed: list[str] = []
    for name, words in checks.items():
        print(f"\n== {name}: {' '.join(words)}", flush=True)
        if subprocess.run([str(PYTHON), "-m", *words], cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"\n{'failed: ' + ', '.join(failed) if failed else 'all checks passed'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # the folder's name may hold characters that its encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        raise SystemExit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The set-up stopped (exit code {error.returncode}); the lines above say why.") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
