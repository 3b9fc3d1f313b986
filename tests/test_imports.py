"""The parts of the core import each other in one direction only. The tests read the source without running it."""

from __future__ import annotations

import ast
import re
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
    "pictures": {"errors", "files"},
    "images": {"errors", "files", "out_of_memory", "pictures"},
    "markdown": set(),
    "paths": {"errors"},
    "ranges": {"errors"},
    "yaml_text": {"files"},
    "progress": set(),
    "diffusion": {"errors", "progress", "ranges"},
    "model": {"errors", "out_of_memory", "diffusion", "ranges"},
    "face": {"errors", "files", "images", "out_of_memory", "progress"},
    "checkpoints": {
        *("errors", "embedded", "files", "out_of_memory", "ranges", "yaml_text", "model", "diffusion", "face"),
    },
    "pipeline": {"errors", "out_of_memory", "progress", "model", "diffusion", "checkpoints", "images", "face"},
    "presets": {"diffusion"},
    "photos": {"errors", "progress", "images", "model", "face", "pipeline"},
    "video": {"errors", "files", "images", "face"},
    "temporal": {"progress", "ranges", "diffusion", "model", "face", "pipeline"},
    "photo_files": {"errors", "files", "images", "photos", "pictures"},
    "samples": {"errors", "images"},
    "synthetic": {"errors", "files", "images", "face"},
    "hardware": set(),
    "data": {
        *("errors", "files", "hardware", "images", "markdown", "paths", "pictures", "progress", "ranges"),
        *("face", "pipeline", "synthetic"),
    },
    "training": {
        *("errors", "files", "hardware", "images", "out_of_memory", "paths", "pictures", "progress", "ranges"),
        *("yaml_text", "face", "model", "diffusion", "checkpoints", "pipeline", "data", "synthetic"),
    },
    "evaluation": {
        *("errors", "files", "images", "markdown", "out_of_memory", "paths", "pictures", "progress"),
        *("embedded", "face", "checkpoints", "pipeline", "data", "synthetic", "video"),
    },
    "demo": {
        *("errors", "embedded", "files", "images", "progress", "face", "checkpoints", "pipeline", "photos"),
        *("data", "samples", "synthetic", "temporal", "video"),
    },
}
"""Part of the core -> other parts that it may import. The command line may import every part."""


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the level and the module of every import in a file. Level 0 is an absolute import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, f"{node.module or ''}.{alias.name}".strip(".")) for alias in node.names)


def _core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", _core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_imports_only_allowed_parts(path: Path) -> None:
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


GROUND = {
    *("errors", "files", "images", "markdown", "out_of_memory", "paths", "pictures", "progress", "ranges", "yaml_text"),
}
"""Parts that are one box in the diagram of docs/architecture.md."""


def _arrows_of_diagram() -> dict[str, set[str]]:
    """Return the arrows in the diagram of docs/architecture.md: part -> parts that it imports."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"small modules that everything rests on: {', '.join(sorted(GROUND))}." in " ".join(page.split())
    arrows: dict[str, set[str]] = {}
    for start, end in re.findall(r"^ +(\w+) --> (\w+)$", page, re.MULTILINE):
        arrows.setdefault(start, set()).add(end)
    return arrows


def _below(part: str, arrows: dict[str, set[str]]) -> set[str]:
    """Return every part that a chain of arrows from this part leads to."""
    return {part for end in arrows.get(part, ()) for part in (end, *_below(end, arrows))}


def _imported_parts(folder: str) -> set[str]:
    """Return the parts of the core that a folder, inside or outside the core, imports."""
    parts: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        inside = path.relative_to(ROOT).with_suffix("").parts
        for level, module in _imports(path):
            target = (*inside[:-level], *module.split(".")) if level else tuple(module.split("."))
            if target[0] == "refldm_core" and len(target) > 2:
                parts.add(target[1])
    return parts


def test_the_diagram_shows_the_allowed_imports() -> None:
    """Every arrow is an allowed import, none is redundant, and every allowed import follows the arrows."""
    arrows = _arrows_of_diagram()
    allowed = {part: {"ground" if end in GROUND else end for end in ends} for part, ends in MAY_IMPORT.items()}
    folders = {"nodes": "nodes", "benchmarks": "benchmarks", "cli": "refldm_core/cli"}
    for part, folder in folders.items():
        allowed[part] = {"ground" if end in GROUND else end for end in _imported_parts(folder) - {part}}
    for part, ends in allowed.items():
        if part in GROUND:
            assert ends <= {"ground"}
            continue
        assert ends <= _below(part, arrows), f"{part}: draw an arrow that leads to {ends - _below(part, arrows)}"
        if part not in folders:
            assert arrows.get(part, set()) <= ends, f"{part} may not import {arrows[part] - ends}"
        for end in arrows.get(part, ()):
            other_arrows = {**arrows, part: arrows[part] - {end}}
            assert end not in _below(part, other_arrows), f"{part} --> {end}: other arrows lead there"
    parts = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    boxes = {*arrows, *(end for ends in arrows.values() for end in ends), *GROUND}
    assert parts - {"__init__", "__main__"} <= boxes


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nodes_import_the_core_relatively_and_only_host_touches_comfyui(path: Path) -> None:
    for level, module in _imports(path):
        top = module.split(".")[0]
        if level == 0:
            assert top not in ("refldm_core", "nodes"), f"{path}: an absolute import loads a second copy"
            if path.parent.name != "host":
                assert top not in ("comfy", "folder_paths"), f"{path}: only nodes/host touches the host"
    assert "sys.path" not in path.read_text(encoding="utf-8")


def test_importing_the_core_imports_nothing_heavy() -> None:
    code = "import sys, refldm_core; print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert process.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["insightface", "facexlib", "onnxruntime", "comfy"])
def test_the_core_imports_without(module: str) -> None:
    """Optional packages are imported only by the functions that use them."""
    code = f"import sys; sys.modules[{module!r}] = None\nimport refldm_core.pipeline, refldm_core.cli.restore"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_wheel_contains_only_the_core() -> None:
    """A top-level package `nodes` would shadow ComfyUI's own module."""
    if sys.version_info < (3, 11):
        pytest.skip("tomllib is new in Python 3.11")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == ["refldm_core*"]
