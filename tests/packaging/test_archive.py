"""The archive for ComfyUI's registry holds what the nodes need and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from refldm_core import __version__

from .archive import ROOT, archived_files, imported_modules, modules, unpack_archive

NEEDED_PATTERNS = (
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "js/*",
    "locales/*",
    "pyproject.toml",
    "refldm_core/embedded/*",
    "requirements.txt",
    "subgraphs/*",
    "workflows/*",
)
"""Patterns of the files that the nodes or their users need and that no module imports."""

DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}
"""Module -> the distribution that contains it, if the names differ."""
HOST_MODULES = {"aiohttp", "comfy", "comfy_api", "comfy_execution", "folder_paths", "latent_preview", "server", "torch"}
"""Modules that every ComfyUI has. ComfyUI installs torch in the build for the machine."""


def test_archive_holds_exactly_the_modules_that_the_nodes_import() -> None:
    assert set(modules()) == imported_modules(), "list modules that the nodes do not import in .comfyignore"


def test_archive_holds_only_files_that_the_nodes_need() -> None:
    other_files = set(archived_files()) - set(modules())
    assert {name for name in other_files if not any(fnmatchcase(name, pattern) for pattern in NEEDED_PATTERNS)} == set()
    for pattern in (
        "js/docs/*.md",
        "locales/*/nodeDefs.json",
        "workflows/*.json",
        "refldm_core/embedded/*.safetensors",
    ):
        assert any(fnmatchcase(name, pattern) for name in other_files), pattern


def test_archive_is_small() -> None:
    """The limit holds even without compression. Most of the size is that of the embedded models."""
    assert sum((ROOT / name).stat().st_size for name in archived_files()) < 45_000_000


def test_requirements_equal_the_imports() -> None:
    imported = {name for module in modules() for name in _absolute_imports(ROOT / module)}
    imported |= {"scipy"}  # refldm_core/face/scipy_functions.py imports it through importlib
    distributions = {DISTRIBUTIONS.get(name, name) for name in imported - HOST_MODULES - set(sys.stdlib_module_names)}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert distributions == {re.split(r"[<>=]", line)[0] for line in lines if line and not line.startswith("#")}


def _absolute_imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def test_core_of_the_archive_imports_without_the_rest_of_the_project(tmp_path: Path) -> None:
    pack = unpack_archive(tmp_path / "pack")
    core = [name for name in modules() if name.startswith("refldm_core/")]
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in core]
    code = f"""
import importlib, sys
sys.path.insert(0, {str(pack)!r})
for name in {names!r}:
    module = importlib.import_module(name)
    assert module.__file__.startswith({str(pack)!r}), module.__file__
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


@pytest.fixture
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="tomllib is new in Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_registry_and_the_manager_find_the_version(project: dict[str, Any]) -> None:
    """ComfyUI-Manager takes a pack without a literal version for no registry pack, and does not update it."""
    assert project["project"]["version"] == __version__ and "dynamic" not in project["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_registry_accepts_the_metadata(project: dict[str, Any]) -> None:
    name = project["project"]["name"]
    assert re.fullmatch(r"[a-z][a-z0-9]*([-._][a-z0-9]+)*", name) and "comfy" not in name
    assert project["project"]["description"] and len(project["project"]["description"]) < 200
    assert project["tool"]["comfy"]["requires-comfyui"] == ">=0.3.64"
    assert {"PublisherId", "DisplayName", "Icon", "Banner"} <= set(project["tool"]["comfy"])
    assert "Operating System :: OS Independent" in project["project"]["classifiers"]


def test_icon_and_banner_have_the_registrys_shapes(project: dict[str, Any]) -> None:
    raw = project["project"]["urls"]["Repository"].replace("github.com", "raw.githubusercontent.com")
    folder = "docs/brand"
    for key, name in (("Icon", "icon.png"), ("Banner", "banner.png")):
        assert project["tool"]["comfy"][key] == f"{raw}/main/{folder}/{name}"
    with Image.open(ROOT / folder / "icon.png") as icon, Image.open(ROOT / folder / "banner.png") as banner:
        assert icon.width == icon.height <= 400
        assert banner.width * 9 == banner.height * 21


def test_repository_addresses_agree(project: dict[str, Any]) -> None:
    repository = project["project"]["urls"]["Repository"]
    for name in ("mkdocs.yml", "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"):
        assert repository in (ROOT / name).read_text(encoding="utf-8"), name


def test_extras_that_include_extras_name_this_project(project: dict[str, Any]) -> None:
    """With another name, pip would install a package of strangers."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    included = [requirement for requirements in extras.values() for requirement in requirements if "[" in requirement]
    assert included
    for requirement in included:
        name, _, extra = requirement.rstrip("]").partition("[")
        assert name == project["project"]["name"] and extra in extras, requirement
