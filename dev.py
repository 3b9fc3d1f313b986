#!/usr/bin/env python3
"""Set everything up in .venv and run it. Needs Python 3.10 or newer and nothing else.

python dev.py demo [OPTIONS]     set up, then see everything at work on drawn people (`refldm demo`)
python dev.py test [OPTIONS]     set up, then check style, types and tests (options go to pytest)
python dev.py refldm COMMAND     set up, then run a command, such as: python dev.py refldm restore --help
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main(words: list[str]) -> int:
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in ("demo", "test", "refldm"):
        print(__doc__)
        return 0 if command in ("", "-h", "--help") else 2
    extras = {"train": "[train]", "evaluate": "[evaluate]", "benchmark-table": "[evaluate]"}
    set_up("[dev]" if command == "test" else extras.get(rest[0] if rest else "", "[faces]"))
    if command == "test":
        return test(rest)
    refldm = [str(PYTHON), "-m", "refldm_core"]
    # The core is installed from this folder, so that the command works from any other one.
    return subprocess.run([*refldm, *(["demo"] if command == "demo" else []), *rest], check=False).returncode


def set_up(extras: str) -> None:
    """Make .venv and install the project into it; nothing where that was done before."""
    if sys.version_info < (3, 10):  # noqa: UP036 (what runs this file is not yet known to be new enough)
        raise SystemExit(f"This is Python {sys.version.split()[0]}; please run dev.py with Python 3.10 or newer.")
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = VENV / f"set-up{extras}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    if not PYTHON.exists():
        print(f"Making {VENV} ...", flush=True)
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            remedy = "On Debian or Ubuntu run first: sudo apt install python3-venv"
            raise SystemExit(f"Python could not make a virtual environment ({error}).\n{remedy}") from error
    print("Installing (PyTorch is large: the first time takes a few minutes) ...", flush=True)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}{extras}"], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def test(pytest_options: list[str]) -> int:
    """Run every check, and say at the end which ones failed."""
    checks = {
        "style": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["pyright", "--pythonpath", str(PYTHON)],
        "tests": ["pytest", *pytest_options],
    }
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
