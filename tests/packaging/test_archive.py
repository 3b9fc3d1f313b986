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

BESIDE_THE_CODE = (
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
"""Files that a user of the nodes needs and that no module imports."""

DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}
"""Module -> the distribution that has it, where the names differ."""
OF_THE_HOST = {"aiohttp", "comfy", "comfy_api", "comfy_execution", "folder_paths", "latent_preview", "server", "torch"}
"""Modules that every ComfyUI has. ComfyUI brings torch itself, in the build for the machine."""


def test_it_holds_the_modules_that_the_nodes_import_and_no_other() -> None:
    assert set(modules()) == imported_modules(), "name what the nodes do not import in .comfyignore"


def test_it_holds_no_file_that_the_nodes_do_not_need() -> None:
    others = set(archived_files()) - set(modules())
    assert {name for name in others if not any(fnmatchcase(name, pattern) for pattern in BESIDE_THE_CODE)} == set()
    for pattern in (
        "js/docs/*.md",
        "locales/*/nodeDefs.json",
        "workflows/*.json",
        "refldm_core/embedded/*.safetensors",
    ):
        assert any(fnmatchcase(name, pattern) for name in others), pattern


def test_it_is_small() -> None:
    """Even before compression. The embedded models are nearly all of it."""
    assert sum((ROOT / name).stat().st_size for name in archived_files()) < 45_000_000


def test_requirements_are_what_it_imports() -> None:
    imported = {name for module in modules() for name in _absolute_imports(ROOT / module)}
    imported |= {"scipy"}  # refldm_core/face/scipy_functions.py imports it by its name
    needed = {DISTRIBUTIONS.get(name, name) for name in imported - OF_THE_HOST - set(sys.stdlib_module_names)}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert needed == {re.split(r"[<>=]", line)[0] for line in lines if line and not line.startswith("#")}


def _absolute_imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in named}


def test_its_core_imports_where_the_rest_of_the_project_is_not(tmp_path: Path) -> None:
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


def test_the_registry_finds_the_version(project: dict[str, Any]) -> None:
    """It reads the file without running it."""
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    source = (ROOT / project["tool"]["comfy"]["version"]["path"]).read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', source, re.MULTILINE) == [__version__]


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


def test_addresses_of_the_project_agree(project: dict[str, Any]) -> None:
    repository = project["project"]["urls"]["Repository"]
    for name in ("mkdocs.yml", "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"):
        assert repository in (ROOT / name).read_text(encoding="utf-8"), name


def test_extras_that_include_others_name_this_project(project: dict[str, Any]) -> None:
    """Under another name, pip would look for a package of strangers."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    included = [requirement for requirements in extras.values() for requirement in requirements if "[" in requirement]
    assert included
    for requirement in included:
        name, _, extra = requirement.rstrip("]").partition("[")
        assert name == project["project"]["name"] and extra in extras, requirement
