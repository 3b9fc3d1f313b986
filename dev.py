#!/usr/bin/env python3
"""Set up the project in .venv and run it. This needs only Python 3.10 or newer.

python dev.py demo [OPTIONS]     set up, then see everything at work on rendered people (`refldm demo`)
python dev.py test [OPTIONS]     set up, then check style, spelling and types, and run the tests (options go to pytest)
python dev.py check              set up, then check style, spelling and types only
python dev.py refldm COMMAND     set up, then run a command, such as: python dev.py refldm restore --help

If .venv already has PyTorch, that version and build stays.
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
# The CUDA builds of PyTorch 2.11. GPUs before Turing (compute capability 7.5) need the build for CUDA 12.6. Other GPUs
# use the build for CUDA 13.0 with driver 580 or newer, and the build for CUDA 12.8 with any older driver for CUDA 12.
CUDA_FOR_OLD_GPUS, CUDA_FOR_OLD_DRIVERS, CUDA_NEWEST = "cu126", "cu128", "cu130"
PROBE_SECONDS = 5.0

# Both distributions of OpenCV write the folder cv2. pyiqa requires the first, facexlib and insightface the second.
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
    """Compute capability of the newest NVIDIA GPU, and major version of its driver. Unknown values are 0."""

    capability: float = 0.0
    driver: int = 0


class Distribution(NamedTuple):
    """Version of an installed distribution, and the requirements in its metadata."""

    version: str
    needs: tuple[str, ...] = ()


def main(words: list[str]) -> int:
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in ("demo", "test", "check", "refldm"):
        print(__doc__)
        return 0 if command in ("", "-h", "--help") else 2
    extras = {"train": "[train]", "evaluate": "[evaluate]", "benchmark-table": "[evaluate]"}
    checking = command in ("test", "check")
    set_up("[dev]" if checking else extras.get(rest[0] if rest else "", "[video]"))
    if checking:
        return run_checks({**CHECKS, "tests": ["pytest", *rest]} if command == "test" else CHECKS)
    refldm = [str(PYTHON), "-m", "refldm_core"]
    # The core is installed from this folder, so the command works in every other folder too.
    return subprocess.run([*refldm, *(["demo"] if command == "demo" else []), *rest], check=False).returncode


def set_up(extras: str) -> None:
    """Make .venv and install the project into it, unless this was done before with the same files and PyTorch."""
    if sys.version_info < (3, 10):  # noqa: UP036 (an older Python may run this file)
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
            remedy = "On Debian or Ubuntu, first run: sudo apt install python3-venv"
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
    """Return the PyTorch in .venv as a requirement, such as torch==2.11.0+cpu; "" if .venv has none."""
    torch = installed("torch").get("torch")
    return "" if torch is None else f"torch=={torch.version}"


def install_torch() -> None:
    """Install PyTorch if .venv has none, and the torchvision that fits the PyTorch in .venv."""
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
        print(f"PyTorch's package index {index} cannot be reached. pip uses its default index instead.", flush=True)
        if torch is None:
            print(f"Its PyTorch build is {default_build(sys.platform)}. To replace it later, run", flush=True)
            print(f"  {PYTHON} -m pip install --force-reinstall torch torchvision --index-url {index}", flush=True)
        index = None
    pip("install", *wanted, *([] if index is None else ["--index-url", index]))


def fits(torchvision: Distribution, torch: str) -> bool:
    """Return whether a torchvision is for this version of torch. Each torchvision is for exactly one."""
    needed = [re.match(r"torch *\(?== *([^ ;)]+)", need) for need in torchvision.needs]
    return any(match and match[1] in (torch, torch.partition("+")[0]) for match in needed)


def torch_index(system: str, machine: str, gpu: Gpu | None) -> str | None:
    """Return the package index with the PyTorch build for a machine; None for pip's default index.

    Args:
        system: value of `sys.platform`.
        machine: value of `platform.machine()`.
        gpu: None without an NVIDIA driver.
    """
    if system not in ("win32", "linux") or machine.lower() not in ("x86_64", "amd64"):
        return None
    if gpu is None:
        return (
            f"{PYTORCH_INDEX}/cpu" if system == "linux" else None
        )  # pip's default index has the CPU build for Windows
    if 0 < gpu.capability < 7.5:
        build = CUDA_FOR_OLD_GPUS
    else:
        build = CUDA_NEWEST if gpu.driver >= 580 else CUDA_FOR_OLD_DRIVERS
    if system == "linux" and build == CUDA_NEWEST:
        return None  # pip's default index has this build
    return f"{PYTORCH_INDEX}/{build}"


def index_of_build(version: str) -> str | None:
    """Return the package index of an installed PyTorch. Its version tells it by a suffix, such as 2.11.0+cu128."""
    build = version.partition("+")[2]
    return f"{PYTORCH_INDEX}/{build}" if re.fullmatch(r"cpu|xpu|cu\d+|rocm[\d.]+", build) else None


def default_build(system: str) -> str:
    """Describe the PyTorch build on pip's default index."""
    return {"win32": "for the CPU only", "linux": "the large one for new NVIDIA GPUs and drivers"}.get(
        system, "the usual one"
    )


def nvidia_gpu(
    system: str,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> Gpu | None:
    """Return the newest NVIDIA GPU; None without a driver. refldm_core/hardware.py has the same test for a driver."""
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
    """Return whether a package index answers. pip itself would try for minutes."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PROBE_SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


def installed(*names: str) -> dict[str, Distribution]:
    """Return the distributions of these names that are installed in .venv."""
    code = (
        "import importlib.metadata as metadata, json, sys; print(json.dumps("
        "{name: [d.version, d.requires or []] for name in sys.argv[1:] for d in metadata.distributions(name=name)}))"
    )
    if not PYTHON.exists():
        return {}
    answer = subprocess.run([str(PYTHON), "-c", code, *names], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: Distribution(version, tuple(needs)) for name, (version, needs) in json.loads(answer).items()}


def keep_one_opencv() -> None:
    """If both OpenCV distributions are installed, keep the headless one, which needs no libraries of a desktop."""
    headless, full = OPENCV
    there = installed(*OPENCV)
    if len(there) == 2:
        pip("uninstall", "--yes", full)
        # Uninstalling the other distribution deleted files that both share.
        pip("install", "--force-reinstall", "--no-deps", f"{headless}=={there[headless].version}")


def pip(command: str, *words: str) -> None:
    quiet = [str(PYTHON), "-m", "pip", command, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*quiet, *words], check=True)


def run_checks(checks: dict[str, list[str]]) -> int:
    """Run checks (name -> Python module and its options). At the end, print the names of those that failed."""
    failed: list[str] = []
    for name, words in checks.items():
        print(f"\n== {name}: {' '.join(words)}", flush=True)
        if subprocess.run([str(PYTHON), "-m", *words], cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"\n{'failed: ' + ', '.join(failed) if failed else 'all checks passed'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # the name of the folder may have characters that the encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        raise SystemExit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The setup stopped with exit code {error.returncode}. The lines above say why.") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
