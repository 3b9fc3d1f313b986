"""The direction of imports (design section 2), read from the source without running it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "refldm_core"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "embedded": {"errors"},
    "files": {"errors"},
    "out_of_memory": {"errors"},
    "pictures": {"errors"},
    "images": {"errors", "files", "pictures"},
    "paths": {"errors"},
    "ranges": {"errors"},
    "yaml_text": set(),
    "progress": set(),
    "diffusion": {"errors", "progress", "ranges"},
    "model": {"errors", "diffusion", "ranges"},
    "face": {"errors", "files", "images", "out_of_memory", "progress"},
    "checkpoints": {
        *("errors", "embedded", "files", "out_of_memory", "ranges", "yaml_text", "model", "diffusion", "face"),
    },
    "pipeline": {"errors", "progress", "model", "diffusion", "checkpoints", "images", "face"},
    "presets": {"pipeline"},
    "photos": {"errors", "progress", "images", "model", "face", "pipeline"},
    "photo_files": {"errors", "files", "images", "photos", "pictures"},
    "synthetic": {"errors", "files", "face"},
    "data": {"errors", "files", "images", "paths", "progress", "face", "pipeline", "synthetic"},
    "training": {
        *("errors", "files", "images", "out_of_memory", "progress", "yaml_text"),
        *("face", "model", "diffusion", "checkpoints", "pipeline", "data"),
    },
    "evaluation": {
        *("errors", "files", "images", "out_of_memory", "paths", "progress", "face", "checkpoints", "pipeline", "data"),
    },
    "demo": {
        *("errors", "embedded", "files", "images", "progress", "face", "checkpoints", "pipeline", "photos", "data"),
    },
}
"""Part of the core -> the other parts that it may import. The command line may import all."""


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(level, module) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, f"{node.module or ''}.{alias.name}".strip(".")) for alias in node.names)


def _core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", _core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_core(path: Path) -> None:
    inside = path.relative_to(CORE).with_suffix("").parts
    part = inside[0]
    for level, module in _imports(path):
        if level == 0:
            top = module.split(".")[0]
            assert top not in ("refldm_core", "comfy", "comfy_api", "folder_paths", "nodes"), f"{path}: {module}"
            continue
        target = (*inside[:-level], *module.split("."))
        if part in MAY_IMPORT and target[0] != part and len(target) > 1:
            assert target[0] in MAY_IMPORT[part], f"{part} must not import {'.'.join(target)}"


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nodes(path: Path) -> None:
    for level, module in _imports(path):
        top = module.split(".")[0]
        if level == 0:
            assert top not in ("refldm_core", "nodes"), f"{path}: an absolute import loads a second copy"
            if path.parent.name != "host":
                assert top not in ("comfy", "folder_paths"), f"{path}: only nodes/host touches the host"
    assert "sys.path" not in path.read_text(encoding="utf-8")


def test_importing_the_core_imports_nothing_heavy() -> None:
    code = "import sys, refldm_core; print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["insightface", "facexlib", "onnxruntime", "comfy"])
def test_the_core_works_without(module: str) -> None:
    """What is optional is imported only where it is used."""
    code = f"import sys; sys.modules[{module!r}] = None\nimport refldm_core.pipeline, refldm_core.cli.restore"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_wheel_holds_the_core_only() -> None:
    """A top-level package `nodes` would shadow ComfyUI's own module."""
    if sys.version_info < (3, 11):
        pytest.skip("tomllib is new in Python 3.11")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == ["refldm_core*"]
