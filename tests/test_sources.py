"""Rules for every source file: its characters, the encodings that it names, and how it writes files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ("refldm_core", "nodes", "benchmarks")
ENDINGS = {".py", ".js", ".css", ".toml", ".yaml", ".txt"}

BYPASSES = {
    "nodes/saved_people.py": "WebP in memory",
    "refldm_core/files.py": "atomic_write itself",
    "refldm_core/checkpoints/download.py": "a .part file that the next call continues; put_in_place follows",
    "refldm_core/training/loop.py": "the log, which grows by one line in each step",
    "refldm_core/training/recognizer_network.py": "save_onnx, which is called inside atomic_write",
    "refldm_core/data/degradation.py": "JPEG in memory",
    "refldm_core/data/stored_graph.py": "arrays in memory; SQLite writes its own file atomically",
    "refldm_core/evaluation/html.py": "PNG in memory",
    "refldm_core/evaluation/plots.py": "PNG in memory",
    "benchmarks/album/pictures.py": "photos in the benchmark's own temporary folder",
    "benchmarks/common/fresh_process.py": "a setting of the Linux kernel",
    "benchmarks/speed/benchmark.py": "an array in the benchmark's own temporary folder",
    "dev.py": "the stamp of the environment; a damaged stamp is written again",
}
"""File that writes without `atomic_write` -> why it may."""


def _sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each source file in the root and in some folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in sorted([*ROOT.glob("*"), *paths]):
        if path.suffix in ENDINGS and path.is_file():
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _trees(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    return ((name, ast.parse(text)) for name, text in _sources(*folders) if name.endswith(".py"))


def test_every_character_is_in_code_page_1252() -> None:
    """On Windows, a linter of ComfyUI packs reads sources in this code page and refuses other characters."""
    violations = {
        f"{name}, line {number}: {character!a}"
        for name, text in _sources(*PRODUCT, "js", "tests", "training")
        for number, line in enumerate(text.splitlines(), 1)
        for character in line
        if not character.encode("cp1252", "ignore")
    }
    assert not violations, "use plain words; if the product must show the character, write an escape such as \\u2191"


def test_text_files_name_their_encoding() -> None:
    """The default encoding is a legacy code page on Windows."""
    violations = [
        f"{name}, line {call.lineno}"
        for name, tree in _trees(*PRODUCT, "tests")
        for call in _calls(tree)
        if _lacks_encoding(call)
    ]
    assert not violations


def test_files_are_written_atomically() -> None:
    """`atomic_write` is tested with Windows' rules for files, and leaves no half-written file."""
    bypasses: dict[str, list[int]] = {}
    for name, tree in _trees(*PRODUCT):
        atomic = {id(call) for block in ast.walk(tree) if _is_atomic(block) for call in _calls(block)}
        lines = [call.lineno for call in _calls(tree) if _writes(call) and id(call) not in atomic]
        if lines:
            bypasses[name] = lines
    assert bypasses.keys() == BYPASSES.keys(), {n: bypasses.get(n) for n in bypasses.keys() ^ BYPASSES.keys()}


def test_the_tests_that_comments_point_to_exist() -> None:
    """A comment points as "tests/model/test_unet.py" or as "tests/model/test_unet.py, test_name"."""
    pointer = re.compile(r"(tests/[\w/]+\.py)(?:,\s+(?:#\s+)?(test_\w+))?")
    pointers = [(name, *match.groups()) for name, text in _sources(*PRODUCT) for match in pointer.finditer(text)]
    missing = [
        (name, path, test)
        for name, path, test in pointers
        if not (ROOT / path).is_file() or f"def {test or 'test_'}" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert pointers and not missing


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _function_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _modes(call: ast.Call) -> set[str]:
    """Return the modes in which a call may open a file. A call that opens no file has none."""
    if _function_name(call) != "open":
        return set()
    positional = call.args[1:] if isinstance(call.func, ast.Name) else call.args  # open(path, mode) or path.open(mode)
    by_keyword = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    if not [*by_keyword, *positional]:
        return {"r"}
    constants = [n.value for n in ast.walk([*by_keyword, *positional][0]) if isinstance(n, ast.Constant)]
    return {value for value in constants if isinstance(value, str) and set(value) <= set("rwaxbt+")}


def _lacks_encoding(call: ast.Call) -> bool:
    is_text = any("b" not in mode for mode in _modes(call)) or _function_name(call) in ("read_text", "write_text")
    return is_text and "encoding" not in {keyword.arg for keyword in call.keywords}


def _writes(call: ast.Call) -> bool:
    if any(set(mode) & set("wax+") for mode in _modes(call)):
        return True
    if _function_name(call) == "save":  # of Pillow, torch or numpy, with the file as an argument
        return bool(call.args) and isinstance(call.func, ast.Attribute)
    return _function_name(call) in ("write_text", "write_bytes", "savefig", "save_file", "savez", "tofile")


def _is_atomic(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call) and _function_name(item.context_expr) == "atomic_write"
        for item in node.items
    )
