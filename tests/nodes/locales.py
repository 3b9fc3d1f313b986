"""Writes locales/en/nodeDefs.json from the schemas of the nodes: `python -m tests.nodes.locales`.

ComfyUI reads the files of each language. The page finds a text by its path: the id of the node, "inputs" or "outputs",
the key of the input or the number of the output, and "name" or "tooltip".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .pack import PACK
from .schemas import Input, Output, Schema, fixed_sockets, read_schemas

LOCALES = PACK / "locales"

Texts = dict[str, Any]
"""Nested objects with a text at the end of each path."""


def locale_path(language: str) -> Path:
    return LOCALES / language / "nodeDefs.json"


def read_texts(language: str) -> Texts:
    return json.loads(locale_path(language).read_text(encoding="utf-8"))


def english_json() -> str:
    """Return the content of the English file."""
    fixed = fixed_sockets()
    texts = {schema.node_id: _node_texts(schema, fixed) for schema in read_schemas()}
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def _node_texts(schema: Schema, fixed: int) -> Texts:
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {
            key: _texts(name, item.tooltip)
            for item in schema.inputs
            if not item.hidden
            for key, name in _keys_and_names(item, fixed)
        },
        "outputs": {str(i): _output_texts(output) for i, output in enumerate(schema.outputs)},
    }


def _keys_and_names(item: Input, fixed: int) -> Iterator[tuple[str, str]]:
    """Yield the keys under which pages look for the texts of an input, each with the input's English name.

    The sockets of a growing input are named "group.socket", and pages replace dots in keys with "_". A host without
    growing inputs has the first sockets under their own names.
    """
    yield item.id, item.display_name or item.id
    yield from ((f"{item.id}_{socket}", socket) for socket in item.sockets)
    yield from ((socket, socket) for socket in item.sockets[:fixed])


def _output_texts(output: Output) -> Texts:
    """Return the texts of an output. One without a name shows its type, which the page translates itself."""
    return _texts(output.display_name, output.tooltip)


def _texts(name: str | None, tooltip: str | None) -> Texts:
    return {key: text for key, text in (("name", name), ("tooltip", tooltip)) if text}


def main() -> None:
    path = locale_path("en")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(english_json(), encoding="utf-8", newline="\n")
    print(f"Wrote {path}. Translate what changed in the files of the other languages too.")


if __name__ == "__main__":
    main()
