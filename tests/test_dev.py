"""dev.py installs the right packages on each kind of machine. `Pip` replaces pip and records its calls."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import dev

CPU, CU126, CU128, CU130 = (f"https://download.pytorch.org/whl/{build}" for build in ("cpu", "cu126", "cu128", "cu130"))
MODERN, OLD_DRIVER, PASCAL = dev.Gpu(8.6, 581), dev.Gpu(8.6, 572), dev.Gpu(6.1, 581)


class Pip:
    """Stand-in for a .venv and its pip.

    Attributes:
        versions: Package -> its installed version. "torchvision needs" -> the version of torch that torchvision needs.
        calls: The words after `pip` in each call.
        constraints: The content of each constraints file that a call named.
    """

    def __init__(self, **versions: str) -> None:
        self.versions = versions
        self.calls: list[list[str]] = []
        self.constraints: list[str] = []

    def run(self, words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if words[1] == "-c":
            needs = {"torchvision": [f"torch=={self.versions.get('torchvision needs')}"]}
            packages = {n: [self.versions[n], needs.get(n, [])] for n in words[3:] if n in self.versions}
            return subprocess.CompletedProcess(words, 0, json.dumps(packages))
        assert words[1:3] == ["-m", "pip"]
        options = ("--quiet", "--disable-pip-version-check")
        self.calls.append([word for word in words[3:] if word not in options])
        for option, value in pairwise(words):
            if option == "-c":
                self.constraints.append(Path(value).read_text(encoding="utf-8"))
        if "torchvision" in words:
            index = words[words.index("--index-url") + 1] if "--index-url" in words else ""
            label = f"+{index.rsplit('/', 1)[1]}" if index else ""
            self.versions.setdefault("torch", f"2.11.0{label}")
            self.versions |= {"torchvision": "0.26.0", "torchvision needs": self.versions["torch"].partition("+")[0]}
        if "uninstall" in words:
            del self.versions[words[-1]]
        return subprocess.CompletedProcess(words, 0, "")


@pytest.mark.parametrize(("command", "with_tests"), [("check", False), ("test", True)])
def test_the_command_check_runs_everything_except_the_tests(
    command: str, with_tests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: list[str] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        modules.append(words[2])
        return subprocess.CompletedProcess(words, int(words[2] == "pyright"))

    monkeypatch.setattr(dev, "set_up", lambda extras: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert dev.main([command]) == 1, "types failed"
    assert modules == ["ruff", "ruff", "codespell_lib", "pyright", *(["pytest"] if with_tests else [])]


Machine = Callable[..., Pip]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Return a function that imitates a machine whose .venv has these versions."""

    def make(system: str, gpu: dev.Gpu | None, *, reachable: bool = True, arch: str = "AMD64", **versions: str) -> Pip:
        pip = Pip(**versions)
        python = tmp_path / ".venv" / "python"
        python.parent.mkdir(exist_ok=True)
        python.touch()
        monkeypatch.setattr(dev, "VENV", python.parent)
        monkeypatch.setattr(dev, "PYTHON", python)
        monkeypatch.setattr(dev.sys, "platform", system)
        monkeypatch.setattr(dev.platform, "machine", lambda: arch)
        monkeypatch.setattr(dev, "nvidia_gpu", lambda system: gpu)
        monkeypatch.setattr(dev, "reachable", lambda index: reachable)
        monkeypatch.setattr(dev.subprocess, "run", pip.run)
        return pip

    return make


@pytest.mark.parametrize(
    ("system", "arch", "gpu", "index"),
    [
        ("win32", "AMD64", MODERN, CU130),
        ("win32", "AMD64", OLD_DRIVER, CU128),
        ("win32", "AMD64", dev.Gpu(), CU128),
        ("win32", "AMD64", PASCAL, CU126),
        ("win32", "AMD64", None, None),
        ("linux", "x86_64", None, CPU),
        ("linux", "x86_64", MODERN, None),
        ("linux", "x86_64", OLD_DRIVER, CU128),
        ("linux", "x86_64", PASCAL, CU126),
        ("linux", "aarch64", None, None),
        ("darwin", "arm64", None, None),
        ("darwin", "x86_64", None, None),
    ],
)
def test_a_machine_without_pytorch_gets_the_build_for_it(
    machine: Machine, system: str, arch: str, gpu: dev.Gpu | None, index: str | None
) -> None:
    pip = machine(system, gpu, arch=arch)
    dev.set_up("[faces]")
    first, second = pip.calls
    index_options = [] if index is None else ["--index-url", index]
    assert first == ["install", "torch", "torchvision", "-c", str(dev.CONSTRAINTS), *index_options]
    # Everything else comes from the default index, but no other build of PyTorch.
    assert second[-2:] == ["-e", f"{dev.ROOT}[faces]"] and "--index-url" not in second
    assert pip.constraints[1] == f"torch=={pip.versions['torch']}\n"


@pytest.mark.parametrize("torch", ["2.9.1+cu128", "2.11.0", "2.13.0+rocm7.1", "2.5.1+cpu", "2.12.0.dev20260101+cu130"])
@pytest.mark.parametrize(("system", "gpu"), [("win32", MODERN), ("linux", None), ("darwin", None)])
def test_an_installed_pytorch_stays(machine: Machine, system: str, gpu: dev.Gpu | None, torch: str) -> None:
    torchvision = {"torchvision": "0.1", "torchvision needs": torch.partition("+")[0]}
    pip = machine(system, gpu, torch=torch, **torchvision)
    dev.set_up("[dev]")
    (call,) = pip.calls
    assert call[-2:] == ["-e", f"{dev.ROOT}[dev]"]
    assert pip.constraints == [f"torch=={torch}\n"]


@pytest.mark.parametrize(
    ("torch", "index"),
    [
        ("2.9.1+cu128", "https://download.pytorch.org/whl/cu128"),
        ("2.9.1+rocm6.4", "https://download.pytorch.org/whl/rocm6.4"),
        ("2.9.1", None),
        ("2.9.1a0+git1234", None),
    ],
)
@pytest.mark.parametrize("torchvision", [{}, {"torchvision": "0.26.0", "torchvision needs": "2.11.0"}])
def test_torchvision_is_installed_for_the_installed_pytorch(
    machine: Machine, torchvision: dict[str, str], torch: str, index: str | None
) -> None:
    pip = machine("win32", MODERN, torch=torch, **torchvision)
    dev.set_up("[faces]")
    index_options = [] if index is None else ["--index-url", index]
    assert pip.calls[0] == ["install", f"torch=={torch}", "torchvision", *index_options]
    assert pip.constraints == [f"torch=={torch}\n"]


def test_an_unreachable_index_is_named_and_not_used(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    pip = machine("win32", MODERN, reachable=False)
    dev.set_up("[faces]")
    assert pip.calls[0] == ["install", "torch", "torchvision", "-c", str(dev.CONSTRAINTS)]
    printed = capsys.readouterr().out
    assert f"{CU130} cannot be reached" in printed and "for the CPU only" in printed
    assert f"-m pip install --force-reinstall torch torchvision --index-url {CU130}" in printed


def test_the_probe_of_an_index_survives_every_error_and_has_a_short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[tuple[str, float]] = []
    failures = [
        urllib.error.URLError("no such host"),
        urllib.error.HTTPError("", 403, "a proxy refused", None, None),  # pyright: ignore[reportArgumentType]
        TimeoutError(),
        ConnectionResetError(),
        dev.http.client.BadStatusLine("hello"),
    ]

    def open_page(url: str, timeout: float) -> None:
        requests.append((url, timeout))
        raise failures[len(requests) - 1]

    monkeypatch.setattr(dev.urllib.request, "urlopen", open_page)
    assert not any(dev.reachable(CPU) for _ in failures)
    assert set(requests) == {(f"{CPU}/torch/", dev.PROBE_SECONDS)} and dev.PROBE_SECONDS <= 5


def test_a_second_run_installs_nothing_until_pytorch_or_the_project_changes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip = machine("linux", None)
    dev.set_up("[faces]")
    calls_before = len(pip.calls)
    dev.set_up("[faces]")
    assert len(pip.calls) == calls_before
    pip.versions["torch"] = "2.12.0+cpu"  # the user installed it; torchvision is still for 2.11
    dev.set_up("[faces]")
    assert pip.calls[calls_before] == ["install", "torch==2.12.0+cpu", "torchvision", "--index-url", CPU]
    assert pip.constraints[-1] == "torch==2.12.0+cpu\n"
    calls_before = len(pip.calls)
    dev.set_up("[faces]")
    assert len(pip.calls) == calls_before
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("torch==2.13.0\n", encoding="utf-8")
    monkeypatch.setattr(dev, "CONSTRAINTS", constraints)
    dev.set_up("[faces]")
    assert [call[-1] for call in pip.calls[calls_before:]] == [f"{dev.ROOT}[faces]"]
    assert pip.versions["torch"] == "2.12.0+cpu"


def test_a_failed_set_up_is_tried_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = machine("linux", None, torch="2.11.0", torchvision="0.26.0", **{"torchvision needs": "2.11.0"})

    def fail(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "-e" in words:
            raise subprocess.CalledProcessError(1, words)
        return pip.run(words, **options)

    monkeypatch.setattr(dev.subprocess, "run", fail)
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            dev.set_up("[faces]")


def test_only_one_opencv_stays(machine: Machine) -> None:
    opencv = {"opencv-python": "5.0.0", "opencv-python-headless": "4.9.9"}
    pip = machine("darwin", None, torch="2.11.0", torchvision="0.26.0", **{"torchvision needs": "2.11.0"}, **opencv)
    dev.set_up("[dev]")
    assert pip.calls[1:] == [
        ["uninstall", "--yes", "opencv-python"],
        ["install", "--force-reinstall", "--no-deps", "opencv-python-headless==4.9.9"],
    ]
    pip.calls.clear()
    dev.keep_one_opencv()
    assert not pip.calls


@pytest.mark.parametrize(
    ("system", "program", "files", "answer", "gpu"),
    [
        ("linux", None, (), "", None),
        ("linux", None, ("/proc/driver/nvidia",), "", dev.Gpu()),
        ("linux", "nvidia-smi", (), "8.6, 570.86.15\n", dev.Gpu(8.6, 570)),
        ("win32", None, (), "", None),
        ("win32", None, ("/proc/driver/nvidia",), "", None),
        ("win32", None, (r"C:\Windows\System32\nvcuda.dll",), "", dev.Gpu()),
        ("win32", "nvidia-smi.exe", (), "6.1, 581.29\r\n12.0, 581.29\r\n", dev.Gpu(12.0, 581)),
        ("win32", "nvidia-smi.exe", (), 'Field "compute_cap" is not a valid field to query.', dev.Gpu()),
        ("darwin", None, (), "", None),
    ],
)
def test_the_newest_gpu_of_the_driver_is_detected(  # noqa: PLR0917
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    program: str | None,
    files: tuple[str, ...],
    answer: str,
    gpu: dev.Gpu | None,
) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if program is None:
            raise FileNotFoundError(words[0])
        return subprocess.CompletedProcess(words, 0, answer)

    monkeypatch.setattr(dev.subprocess, "run", run)
    assert dev.nvidia_gpu(system, exists=lambda path: path in files, which=lambda name: program) == gpu


def test_installed_versions_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter of these tests answers instead of the one in .venv."""
    from importlib.metadata import version

    monkeypatch.setattr(dev, "PYTHON", Path(dev.sys.executable))
    packages = dev.installed("torch", "torchvision", "no-such-package")
    assert {name: package.version for name, package in packages.items()} == {
        "torch": version("torch"),
        "torchvision": version("torchvision"),
    }
    assert dev.fits(packages["torchvision"], version("torch"))
    assert not dev.fits(packages["torchvision"], "1.0")


def test_only_one_distribution_installs_cv2() -> None:
    """If two distributions write the folder cv2, a change of either one breaks it."""
    from importlib.metadata import distributions

    owners = {d.metadata["Name"].lower() for d in distributions() if d.metadata["Name"].lower().startswith("opencv")}
    assert owners == {"opencv-python-headless"}
