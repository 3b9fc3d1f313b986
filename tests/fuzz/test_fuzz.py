"""A short run of the fuzz command, its own parts, and the inputs that once broke a reader.

The imports are absolute, because the worker process imports the same modules by their names.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from refldm_core.errors import SettingsError
from tests.fuzz.cases import ACCEPTED, FINDINGS, HANG, REFUSED, TRACEBACK, WRONG, Case, Verdict, WrongResultError
from tests.fuzz.command import run, turns
from tests.fuzz.mutation import cut, mutate, with_png_checksums
from tests.fuzz.readers import READERS
from tests.fuzz.report import Outcome, as_markdown
from tests.fuzz.seed_files import write_seed_files
from tests.fuzz.worker import judge

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").rglob("*") if path.is_file())
SLOW = ("refldm train", "refldm evaluate", "refldm dataset build", "config")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    write_seed_files(folder)
    return folder


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_inputs_that_once_broke_a_reader_are_refused(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    read = READERS[path.parent.name].read
    assert read is not None
    verdict = judge(partial(read, copy))
    assert verdict.kind in (ACCEPTED, REFUSED), verdict.detail


def test_a_short_run_has_no_findings() -> None:
    outcome = run([name for name in READERS if name not in SLOW], cases=240, seed=7)
    assert not outcome.findings, as_markdown(outcome, "this test")
    assert sum(map(len, outcome.verdicts.values())) == 240
    kinds = {verdict.kind for verdicts in outcome.verdicts.values() for verdict in verdicts}
    assert kinds == {ACCEPTED, REFUSED}


SOUND = {
    "safetensors": ("weights", "*.safetensors"),
    "zip checkpoint": ("weights", "*.ckpt"),
    "legacy checkpoint": ("weights", "*.pth"),
    "references": ("references", "*"),
    "training config file": ("run", "*"),
    "YAML": ("yaml", "*"),
    "PNG": ("pictures", "*"),
}
"""Reader -> folder and names of seed files that it must accept."""


@pytest.mark.parametrize("reader", SOUND)
def test_undamaged_seed_files_are_accepted(reader: str, seeds: Path, tmp_path: Path) -> None:
    folder, pattern = SOUND[reader]
    read = READERS[reader].read
    sources = sorted((seeds / folder).glob(pattern))
    assert sources and read is not None
    for source in sources:
        copy = Path(shutil.copy(source, tmp_path))
        verdict = judge(partial(read, copy))
        assert verdict.kind == ACCEPTED, (source.name, verdict.detail)


def test_cases_depend_on_the_seed_alone(seeds: Path, tmp_path: Path) -> None:
    def inputs(seed: int, folder: Path) -> list[bytes]:
        contents: list[bytes] = []
        for name in ("references metadata", "PNG", "references CSV", "YAML values", "JSON"):
            for number in (1, 5):
                case = Case(name, number, seed, folder / f"{name}-{number}", seeds)
                case.folder.mkdir(parents=True)
                READERS[name].prepare(case)
                contents += [path.read_bytes() for path in sorted(case.folder.rglob("*")) if path.is_file()]
        return contents

    first = inputs(3, tmp_path / "a")
    assert inputs(3, tmp_path / "b") == first
    assert inputs(4, tmp_path / "c") != first


def _raise(error: BaseException) -> None:
    raise error


def test_every_end_of_an_action_has_its_verdict() -> None:
    complete = SettingsError("a problem", expected="a value", remedy="do it")
    assert judge(lambda: None).kind == ACCEPTED
    assert judge(lambda: _raise(complete)).kind == REFUSED
    assert judge(lambda: _raise(SettingsError("a problem"))).kind == WRONG, "it names no remedy"
    assert judge(lambda: _raise(WrongResultError("x"))).kind == WRONG
    for error in (ValueError("x"), MemoryError(), RecursionError(), SystemExit(1), KeyboardInterrupt()):
        assert judge(lambda error=error: _raise(error)).kind == TRACEBACK


def test_hangs_crashes_and_memory_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seeds: Path) -> None:
    from tests.fuzz import supervisor
    from tests.fuzz.self_check import BEHAVIORS, serve_behaviors

    monkeypatch.setattr(supervisor, "serve", serve_behaviors)
    monkeypatch.setattr(supervisor, "SECONDS_LIMIT", 3.0)
    watched = supervisor.Supervisor(tmp_path, seeds)
    try:
        begin = time.monotonic()
        for name, kind in BEHAVIORS.items():
            assert watched.judge(name, 0, 0).kind == kind, name
        assert time.monotonic() - begin < 120.0
    finally:
        watched.close()


def test_turns_are_in_proportion_to_shares() -> None:
    names = [name for name, _ in turns({"a": 3, "b": 1}, 8)]
    assert names.count("a") == 6 and names.count("b") == 2
    assert list(turns({"a": 1}, 2)) == [("a", 0), ("a", 1)]


def test_png_checksums_are_those_of_pillow(seeds: Path, tmp_path: Path) -> None:
    content = (seeds / "pictures" / "plain.png").read_bytes()
    assert with_png_checksums(content) == content
    damaged = bytearray(content)
    damaged[29:33] = bytes(4)  # the checksum of the first chunk
    (tmp_path / "a.png").write_bytes(with_png_checksums(bytes(damaged)))
    Image.open(tmp_path / "a.png").verify()


def test_damage_changes_files() -> None:
    content = bytes(range(256)) * 8
    assert sum(mutate(content, Random(i), content) != content for i in range(100)) > 90
    assert all(content.startswith(cut(content, Random(i))) for i in range(100))


def test_the_report_names_every_finding() -> None:
    verdicts = {
        "PNG": [Verdict(ACCEPTED), Verdict(HANG, "no end", 20.0)],
        "YAML": [Verdict(TRACEBACK, "KeyError: 'x'")],
    }
    report = as_markdown(Outcome(verdicts), "python -m tests.fuzz")
    assert "3 cases, 2 findings" in report and "## PNG, case 1: hang" in report and "KeyError: 'x'" in report
    assert all(kind in report for kind in FINDINGS)
