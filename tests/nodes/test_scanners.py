"""Static scanners, which read files without running them, find every node. ComfyUI-Manager has one."""

from __future__ import annotations

import ast
from pathlib import Path

from .pack import PACK

NODES = PACK / "nodes"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _scan(path: Path) -> dict[str, str]:
    """Return class -> literal node_id in the call of `Schema` in define_schema, for subclasses of ComfyNode."""
    node_ids: dict[str, str] = {}
    for definition in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(definition, ast.ClassDef) or "ComfyNode" not in map(_name, definition.bases):
            continue
        methods = [
            item for item in definition.body if isinstance(item, ast.FunctionDef) and item.name == "define_schema"
        ]
        for call in (item for method in methods for item in ast.walk(method) if isinstance(item, ast.Call)):
            ids = [keyword.value for keyword in call.keywords if keyword.arg == "node_id"]
            if _name(call.func) == "Schema" and ids and isinstance(ids[0], ast.Constant):
                node_ids[definition.name] = str(ids[0].value)
    return node_ids


def _registered_classes() -> set[str]:
    """Return the names of the classes in the list that the host loads."""
    tree = ast.parse((NODES / "extension.py").read_text(encoding="utf-8"))
    returned = next(item.value for item in ast.walk(tree) if isinstance(item, ast.Return))
    assert isinstance(returned, ast.List)
    return {_name(item) for item in returned.elts}


def test_a_scanner_finds_every_node() -> None:
    scanned = {name: node_id for path in NODES.glob("*.py") for name, node_id in _scan(path).items()}
    assert set(scanned) == _registered_classes() and len(scanned) >= 19
    assert all(node_id == f"ReFLDM_{name}" for name, node_id in scanned.items())
