"""Static scanners find every node: they read the files and run nothing, as the one of ComfyUI-Manager does."""

from __future__ import annotations

import ast
from pathlib import Path

from .pack import PACK

NODES = PACK / "nodes"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _scanned(path: Path) -> dict[str, str]:
    """Class -> the literal node_id of the call of `Schema` in its define_schema, for classes with a base ComfyNode."""
    found: dict[str, str] = {}
    for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(kind, ast.ClassDef) or "ComfyNode" not in map(_name, kind.bases):
            continue
        methods = [item for item in kind.body if isinstance(item, ast.FunctionDef) and item.name == "define_schema"]
        for call in (item for method in methods for item in ast.walk(method) if isinstance(item, ast.Call)):
            ids = [keyword.value for keyword in call.keywords if keyword.arg == "node_id"]
            if _name(call.func) == "Schema" and ids and isinstance(ids[0], ast.Constant):
                found[kind.name] = str(ids[0].value)
    return found


def _registered() -> set[str]:
    """Names of the classes in the list that the host loads."""
    tree = ast.parse((NODES / "extension.py").read_text(encoding="utf-8"))
    returned = next(item.value for item in ast.walk(tree) if isinstance(item, ast.Return))
    assert isinstance(returned, ast.List)
    return {_name(item) for item in returned.elts}


def test_a_scanner_finds_every_node() -> None:
    scanned = {name: node_id for path in NODES.glob("*.py") for name, node_id in _scanned(path).items()}
    assert set(scanned) == _registered() and len(scanned) >= 19
    assert all(node_id == f"ReFLDM_{name}" for name, node_id in scanned.items())
