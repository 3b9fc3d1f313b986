"""Redirected output in a legacy code page, as on Windows. No command fails while it prints its result."""

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

RUN_COMMANDS = """
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
"""Runs several commands in one process, since starting the process takes the longest."""

HELP = [[*words, "--help"] for words in ([], *([command] for command in COMMANDS))]
DEGRADE = ["degrade", f"{JAPANESE}.png", "--output", JAPANESE]


def python(folder: Path, encoding: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder with redirected output, without the UTF-8 mode, which is off by default on Windows."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUTF8"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, encoding=encoding, check=False
    )


def run(folder: Path, encoding: str, *commands: list[str]) -> list[str]:
    """Return what each command prints. All commands must succeed. The folder gets a picture with a Japanese name."""
    Image.radial_gradient("L").convert("RGB").save(folder / f"{JAPANESE}.png")
    process = python(folder, encoding, "-c", RUN_COMMANDS, json.dumps(commands))
    printed = re.split(r"^exit code (\w+)\n", process.stdout, flags=re.MULTILINE)
    assert printed[1::2] == ["0"] * len(commands), process.stderr
    return printed[:-1:2]


@pytest.mark.parametrize("encoding", ["cp1252", "cp874", "ascii"])
def test_help_pages_and_results_print_in_legacy_encodings(encoding: str, tmp_path: Path) -> None:
    *pages, degraded, report = run(tmp_path, encoding, *HELP, DEGRADE, ["benchmark", f"{JAPANESE} \xb1"])
    assert [page.startswith("usage: refldm") for page in pages] == [True] * (len(COMMANDS) + 1)
    assert "IDS +0.005 +/- 0.001" in " ".join(pages[1].split())
    assert degraded == f"1 degraded; {Path(ESCAPED) / 'degradations.csv'} says how.\n"
    assert (tmp_path / JAPANESE / f"{JAPANESE}.png").is_file()
    assert report == f"{ESCAPED} " + ("\xb1" if encoding == "cp1252" else "\\xb1") + "\n"


def test_results_with_japanese_names_print_in_cp1252(tiny: TinyFiles, tmp_path: Path) -> None:
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not Unicode")
def test_name_that_is_not_unicode_is_printed_as_escapes(tmp_path: Path) -> None:
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


def test_dev_py_runs_in_a_folder_with_a_japanese_name(tmp_path: Path) -> None:
    (tmp_path / JAPANESE).mkdir()
    for name in ("dev.py", "pyproject.toml", "constraints.txt"):
        (tmp_path / JAPANESE / name).write_bytes((ROOT / name).read_bytes())
    process = python(tmp_path, "cp1252", "-c", SET_UP_FAILS, str(tmp_path / JAPANESE / "dev.py"))
    assert ESCAPED in process.stdout and "no room" in process.stderr
    assert "UnicodeEncodeError" not in process.stderr
