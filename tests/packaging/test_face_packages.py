"""The face packages are optional, and the commands that install them replace nothing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from refldm_core.face import packages
from refldm_core.face.errors import MissingPackageError
from refldm_core.face.packages import import_optional, install_commands

from .recorded import ENVIRONMENTS, Versions, dry_run_with_index, recreate

ROOT = Path(__file__).parents[2]
FAMILIES = {"cv2": "opencv", "onnxruntime": "onnxruntime", "skimage": "scikit-image"}
"""Module -> the beginning that the names of all distributions with this module share."""


def is_installed_in(versions: Versions) -> Callable[[str], bool]:
    """Return a function that says whether a module is in a recorded environment."""
    return lambda module: any(name.startswith(FAMILIES.get(module, module)) for name in versions)


@pytest.mark.parametrize("package", ["facexlib", "insightface", "onnxruntime"])
@pytest.mark.parametrize("recording", ENVIRONMENTS, ids=lambda path: path.stem)
def test_install_commands_replace_nothing(
    recording: Path, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, versions = recreate(recording.read_text(encoding="utf-8"), tmp_path / "env")
    monkeypatch.setattr(packages, "_is_installed", is_installed_in(versions))
    monkeypatch.setattr(packages, "version", versions.__getitem__)
    if packages._is_installed(package):
        return
    for command in install_commands(package):
        arguments = shlex.split(command)
        added = dry_run_with_index(python, arguments[arguments.index("install") + 1 :])
        assert added and not set(added) & set(versions)
        assert not [name for name in added if name.startswith("opencv") and packages._is_installed("cv2")]
        assert not [name for name in added if name.startswith("onnxruntime") and packages._is_installed("onnxruntime")]


def test_any_flavor_counts_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_is_installed", lambda module: module != "insightface")
    (command,) = install_commands("insightface")
    assert command.endswith("-m pip install --no-deps insightface")


def test_torchvision_keeps_the_installed_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_is_installed", lambda module: False)
    (command,) = install_commands("torchvision")
    assert f" torchvision torch=={version('torch')} " in command


def test_commands_install_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_is_installed", lambda module: module not in ("facexlib", "cv2"))
    assert [command.partition("install ")[2] for command in install_commands("facexlib")] == [
        "--no-deps facexlib",
        f"opencv-python-headless numpy=={version('numpy')}",
    ]


def test_missing_requirement_of_an_installed_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """insightface 0.7.3 imports albumentations. Later versions do not."""
    monkeypatch.setattr(packages, "_is_installed", lambda module: True)
    (command,) = install_commands("insightface", "albumentations.core")
    assert command.partition("install ")[2].startswith("albumentations numpy==")


def test_commands_use_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the portable build runs with -s, and is in no PATH."""
    portable = r"C:\ComfyUI_windows_portable\python_embeded\python.exe"
    monkeypatch.setattr(sys, "executable", portable)
    monkeypatch.setattr(packages, "_is_installed", lambda module: False)
    flags = type("Flags", (), {"no_user_site": 1})
    monkeypatch.setattr(sys, "flags", flags)
    assert install_commands("onnxruntime")[0].startswith(f'"{portable}" -s -m pip install onnxruntime numpy==')


@pytest.mark.parametrize("package", sorted(packages._NEEDS))
def test_error_for_a_missing_package_holds_the_commands(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(MissingPackageError, match=rf"(?s){package} cannot be imported.*-m pip install .*{package}"):
        import_optional(package, package)


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("facexlib.detection.retinaface", "filterpy numba llvmlite"),
        ("facexlib.parsing.bisenet", "filterpy numba llvmlite"),
        ("facexlib.parsing.parsenet", "filterpy numba llvmlite"),
        ("insightface.model_zoo.scrfd", "albumentations matplotlib sklearn pandas"),
    ],
)
def test_packages_import_without_what_the_commands_leave_out(module: str, unneeded: str) -> None:
    script = f"""
import sys, warnings
warnings.simplefilter("ignore")
sys.modules.update(dict.fromkeys({unneeded.split()!r}))
import {module}
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
