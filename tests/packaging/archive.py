"""Find the files in the archive that `comfy node pack` makes, and the files that the nodes import."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@functools.cache
def archived_files() -> tuple[str, ...]:
    """Return the files of the archive, as paths from the project's folder.

    They are the files that git tracks, without those that `.comfyignore` excludes. Its patterns are written as in a
    .gitignore, so git itself lists the files that they exclude.
    """
    excluded = _git_files("--cached", "--ignored", "--exclude-from=.comfyignore")
    tracked = _git_files("--cached")
    return tuple(name for name in tracked if name not in set(excluded) and (ROOT / name).exists())


def _git_files(*options: str) -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("the archive holds what git tracks, and this folder is no checkout")
    process = subprocess.run(
        ["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, check=True, encoding="utf-8"
    )
    return sorted(filter(None, process.stdout.split("\0")))


def modules() -> list[str]:
    """Return the Python files of the archive."""
    return [name for name in archived_files() if name.endswith(".py")]


def imported_modules() -> set[str]:
    """Return the Python files that ComfyUI imports, directly or indirectly, when it loads and runs the pack."""
    reached: set[Path] = set()
    waiting = [ROOT / "__init__.py"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imports(path)
    return {path.relative_to(ROOT).as_posix() for path in reached}


def _imports(path: Path) -> Iterator[Path]:
    """Yield the files of a file's relative imports, also of those inside functions, and of the packages around them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = path.parents[node.level - 1]
            target = package.joinpath(*(node.module or "").split("."))
            for candidate in (target, *(target / alias.name for alias in node.names)):
                yield from _files_of(candidate)


def _files_of(module: Path) -> Iterator[Path]:
    """Yield the file of a module, and the __init__.py of each package around it."""
    packages = [folder for folder in (module, *module.parents) if folder == ROOT or ROOT in folder.parents]
    for candidate in (module.with_name(f"{module.name}.py"), *(folder / "__init__.py" for folder in packages)):
        if candidate.is_file():
            yield candidate


def unpack_archive(folder: Path) -> Path:
    """Copy the archive's files into a folder, as ComfyUI's registry unpacks them."""
    for name in archived_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder
