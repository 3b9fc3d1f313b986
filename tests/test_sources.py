"""What holds for every source file: its characters, the encodings that it names, and how it writes files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ("refldm_core", "nodes", "benchmarks")
ENDINGS = {".py", ".js", ".css", ".toml", ".yaml", ".txt"}

BYPASSES = {
    "nodes/saved_people.py": "WebP in memory",
    "refldm_core/files.py": "atomic_write itself",
    "refldm_core/checkpoints/download.py": "a .part file that the next call goes on with; put_in_place follows",
    "refldm_core/training/loop.py": "the log, which grows by a line a step",
    "refldm_core/training/recognizer.py": "save_onnx, which is called inside atomic_write",
    "refldm_core/data/degradation.py": "JPEG in memory",
    "refldm_core/data/photo_store.py": "arrays in memory; SQLite keeps its own file whole",
    "refldm_core/evaluation/html.py": "PNG in memory",
    "refldm_core/evaluation/plots.py": "PNG in memory",
    "benchmarks/common/fresh_process.py": "a setting of the Linux kernel",
    "benchmarks/speed/benchmark.py": "an array in the benchmark's own temporary folder",
    "dev.py": "the stamp of the environment; a broken one is made again",
}
"""Files that write otherwise than inside `atomic_write`, and why they may."""


def _sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Path and text of the files in the root and in folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in sorted([*ROOT.glob("*"), *paths]):
        if path.suffix in ENDINGS and path.is_file():
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _trees(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    return ((name, ast.parse(text)) for name, text in _sources(*folders) if name.endswith(".py"))


def test_every_character_is_in_code_page_1252() -> None:
    """A linter of ComfyUI packs reads sources so on Windows, and refuses a pack with other characters."""
    wrong = {
        f"{name}, line {number}: {character!a}"
        for name, text in _sources(*PRODUCT, "js", "tests", "training")
        for number, line in enumerate(text.splitlines(), 1)
        for character in line
        if not character.encode("cp1252", "ignore")
    }
    assert not wrong, "write an escape such as \\u2191 where the product must show the character, else plain words"


def test_text_files_name_their_encoding() -> None:
    """The default is a legacy code page on Windows."""
    wrong = [
        f"{name}, line {call.lineno}"
        for name, tree in _trees(*PRODUCT, "tests")
        for call in _calls(tree)
        if _lacks_encoding(call)
    ]
    assert not wrong


def test_files_are_written_atomically() -> None:
    """`atomic_write` is tested with Windows' rules for files, and leaves nothing half-written."""
    wrong: dict[str, list[int]] = {}
    for name, tree in _trees(*PRODUCT):
        guarded = {id(call) for block in ast.walk(tree) if _is_atomic(block) for call in _calls(block)}
        lines = [call.lineno for call in _calls(tree) if _writes(call) and id(call) not in guarded]
        if lines:
            wrong[name] = lines
    assert wrong.keys() == BYPASSES.keys(), {name: wrong.get(name) for name in wrong.keys() ^ BYPASSES.keys()}


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _modes(call: ast.Call) -> set[str]:
    """The modes that a call may open a file in; none where it opens no file."""
    if _called(call) != "open":
        return set()
    arguments = call.args[1:] if isinstance(call.func, ast.Name) else call.args  # open(path, mode) or path.open(mode)
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    if not [*named, *arguments]:
        return {"r"}
    constants = [n.value for n in ast.walk([*named, *arguments][0]) if isinstance(n, ast.Constant)]
    return {value for value in constants if isinstance(value, str) and set(value) <= set("rwaxbt+")}


def _lacks_encoding(call: ast.Call) -> bool:
    text = any("b" not in mode for mode in _modes(call)) or _called(call) in ("read_text", "write_text")
    return text and "encoding" not in {keyword.arg for keyword in call.keywords}


def _writes(call: ast.Call) -> bool:
    if any(set(mode) & set("wax+") for mode in _modes(call)):
        return True
    if _called(call) == "save":  # Pillow's, torch's or numpy's, with the file as an argument
        return bool(call.args) and isinstance(call.func, ast.Attribute)
    return _called(call) in ("write_text", "write_bytes", "savefig", "save_file", "savez", "tofile")


def _is_atomic(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call) and _called(item.context_expr) == "atomic_write" for item in node.items
    )
