"""Redirected output in a legacy code page, as on Windows: nothing fails after the work is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from refldm_core.cli.main import COMMANDS

from ..weights import TinyFiles

ROOT = Path(__file__).parents[2]
JAPANESE = "\u65e5\u672c"
ESCAPED = JAPANESE.encode("ascii", "backslashreplace").decode("ascii")

SEVERAL = """
import json, sys
from benchmarks.common.reporting import run_and_report
from refldm_core.cli.main import main
for words in json.loads(sys.argv[1]):
    try:
        code = main(words) if words[0] != "benchmark" else run_and_report(lambda: words[1], None)
    except SystemExit as ended:
        code = ended.code
    print("exit code", code)
"""
"""Runs commands in one process, whose start takes the longest."""

HELP = [[*words, "--help"] for words in ([], *([command] for command in COMMANDS))]
DEGRADE = ["degrade", f"{JAPANESE}.png", "--output", JAPANESE]


def python(folder: Path, encoding: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder with redirected output, without UTF-8 mode, which Windows does not have by default."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUTF8"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, encoding=encoding, check=False
    )


def run(folder: Path, encoding: str, *commands: list[str]) -> list[str]:
    """What each command prints; they must succeed. The folder has a picture with a Japanese name."""
    Image.radial_gradient("L").convert("RGB").save(folder / f"{JAPANESE}.png")
    done = python(folder, encoding, "-c", SEVERAL, json.dumps(commands))
    printed = re.split(r"^exit code (\w+)\n", done.stdout, flags=re.MULTILINE)
    assert printed[1::2] == ["0"] * len(commands), done.stderr
    return printed[:-1:2]


@pytest.mark.parametrize("encoding", ["cp1252", "cp874", "ascii"])
def test_every_help_and_a_result(encoding: str, tmp_path: Path) -> None:
    *helps, degraded, report = run(tmp_path, encoding, *HELP, DEGRADE, ["benchmark", f"{JAPANESE} \xb1"])
    assert [shown.startswith("usage: refldm") for shown in helps] == [True] * (len(COMMANDS) + 1)
    assert "IDS +0.002 +/- 0.001" in " ".join(helps[1].split())
    assert degraded == f"1 degraded; {Path(ESCAPED) / 'degradations.csv'} says how.\n"
    assert (tmp_path / JAPANESE / f"{JAPANESE}.png").is_file()
    assert report == f"{ESCAPED} " + ("\xb1" if encoding == "cp1252" else "\\xb1") + "\n"


def test_commands_that_compute(tiny: TinyFiles, tmp_path: Path) -> None:
    for name in ("truth", JAPANESE):
        (tmp_path / name).mkdir()
        Image.linear_gradient("L").convert("RGB").save(tmp_path / name / f"{JAPANESE}.png")
    (tmp_path / f"{JAPANESE}.ckpt").write_bytes(tiny.vqgan.read_bytes())
    model = ["--model", str(tiny.ckpt), "--config", str(tiny.config)]
    restore = ["restore", f"{JAPANESE}.png", "--aligned", "--steps", "1", "--output", f"{JAPANESE}2.png", *model]
    evaluate = ["evaluate", "--predictions", JAPANESE, "--ground-truth", "truth", "--output", "judged"]
    restored, as_json, inspected, evaluated = run(
        tmp_path,
        "cp1252",
        restore,
        [*restore, "--overwrite", "--json"],
        ["inspect", f"{JAPANESE}.ckpt"],
        [*evaluate, "--metrics", "psnr"],
    )
    assert restored == f"{ESCAPED}2.png\n"
    assert json.loads(as_json)["restored"][0]["output"] == f"{JAPANESE}2.png"
    assert (tmp_path / f"{JAPANESE}2.png").is_file()
    assert inspected.startswith(f"{ESCAPED}.ckpt (pickle): a ReF-LDM first stage")
    assert "PSNR \\u2191" in evaluated and f"| {ESCAPED} | 1 | 1 | inf |" in evaluated
    page = (tmp_path / "judged" / "report.md").read_text(encoding="utf-8")
    assert "PSNR \u2191" in page and f"| {JAPANESE} | 1 | 1 | inf |" in page


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has names that are no text")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    folder = os.fsdecode(b"caf\xe9")
    assert "caf\\udce9" in run(tmp_path, "utf-8", [*DEGRADE[:-1], folder])[0]


SET_UP_FAILS = """
import runpy, sys, venv
def refuse(*args, **kwargs):
    raise OSError("no room")
venv.create = refuse
path, sys.argv = sys.argv[1], ["dev.py", "refldm"]
runpy.run_path(path, run_name="__main__")
"""


def test_dev_in_a_folder_of_another_script(tmp_path: Path) -> None:
    (tmp_path / JAPANESE).mkdir()
    for name in ("dev.py", "pyproject.toml", "constraints.txt"):
        (tmp_path / JAPANESE / name).write_bytes((ROOT / name).read_bytes())
    done = python(tmp_path, "cp1252", "-c", SET_UP_FAILS, str(tmp_path / JAPANESE / "dev.py"))
    assert ESCAPED in done.stdout and "no room" in done.stderr
    assert "UnicodeEncodeError" not in done.stderr
