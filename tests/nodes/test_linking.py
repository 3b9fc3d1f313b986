"""`refldm comfyui` links this checkout into a ComfyUI; with --examples it copies the workflows' pictures too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refldm_core.cli.comfyui import link
from refldm_core.cli.main import main
from refldm_core.errors import OutputError

from .. import windows
from .pack import PACK


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "main.py").touch()
    return tmp_path


def test_linking_twice_keeps_the_link(comfyui: Path) -> None:
    linked = link(comfyui)
    assert linked == comfyui.resolve() / "custom_nodes" / "refldm"
    assert linked.resolve() == PACK
    assert (linked / "__init__.py").is_file()
    assert link(comfyui) == linked


@pytest.mark.parametrize("portable", [False, True])
def test_the_command_names_the_python_to_install_into(
    tmp_path: Path, portable: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python_embeded" / "python.exe"
    (tmp_path / "ComfyUI" / "custom_nodes").mkdir(parents=True)
    (tmp_path / "ComfyUI" / "main.py").touch()
    if portable:
        python.parent.mkdir()
        python.touch()
    assert main(["comfyui", str(tmp_path / "ComfyUI")]) == 0
    command = f"{python.resolve()} -s -m pip" if portable else "\n  python -m pip"
    assert f"{command} install -r {PACK / 'requirements.txt'}" in capsys.readouterr().out


def test_examples_are_copied_and_replace_nothing(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comfyui", str(comfyui)]) == 0
    assert not (comfyui / "input").exists() and "example files" not in capsys.readouterr().out
    (comfyui / "input").mkdir()
    existing = comfyui / "input" / "face.png"
    existing.write_bytes(b"mine")
    assert main(["comfyui", str(comfyui), "--examples"]) == 0
    printed = capsys.readouterr().out
    assert f"example files into {existing.parent.resolve()}" in printed and "stay as they are: face.png" in printed
    assert existing.read_bytes() == b"mine"
    names = {path.name for path in existing.parent.iterdir()}
    assert {"group.png", "photo.png", "reference_1.png", "video.mp4"} <= names


def test_windows_uses_a_junction(comfyui: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A junction needs no right to make links, unlike a symbolic link."""
    make_link, junctions = os.symlink, []

    class Windows:
        @staticmethod
        def CreateJunction(source: str, target: str) -> None:
            junctions.append((source, target))
            make_link(source, target)

    monkeypatch.setitem(sys.modules, "_winapi", Windows)
    windows.impose(monkeypatch)
    monkeypatch.setattr(sys, "platform", "win32")
    linked = link(comfyui)
    assert junctions == [(str(PACK), str(linked))]
    assert link(comfyui) == linked


def test_a_folder_without_comfyui_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not the folder of a ComfyUI"):
        link(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_an_existing_file_or_folder_is_not_replaced(comfyui: Path, kind: str) -> None:
    taken = comfyui / "custom_nodes" / "refldm"
    if kind == "folder":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("mine", encoding="utf-8")
    else:
        try:
            taken.symlink_to(comfyui / "nowhere")
        except OSError:
            pytest.skip("this account may not make symbolic links (Windows)")
    with pytest.raises(OutputError, match="exists already and is not a link"):
        link(comfyui)
    assert taken.is_symlink() == (kind == "broken link")


def test_importing_the_pack_needs_no_host() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('pack', {str(PACK / '__init__.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['pack'] = module\n"
        "spec.loader.exec_module(module)\n"
        "assert module.WEB_DIRECTORY and module.comfy_entrypoint\n"
        "heavy = {'torch', 'numpy', 'PIL', 'requests', 'safetensors', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
