"""Replace the subgraph nodes of a workflow by the nodes in them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

_INPUTS, _OUTPUTS = -10, -20
"""Numbers of the nodes in a subgraph that stand for its own inputs and outputs."""

Source = tuple[Any, int]
"""Node number and output."""


class FlatWorkflow(NamedTuple):
    """A workflow without subgraphs.

    Attributes:
        nodes: Nodes as in the file. An inner node has the number "outer:inner".
        sources: Name of a link -> its source.
        promoted: (inner node, widget) -> value that the subgraph node shows and sets.
    """

    nodes: list[dict[str, Any]]
    sources: Mapping[Any, Source]
    promoted: Mapping[tuple[str, str], Any]


def flatten(workflow: dict[str, Any]) -> FlatWorkflow:
    """Flatten a workflow. Its subgraphs hold no further subgraphs."""
    subgraphs = {item["id"]: item for item in workflow.get("definitions", {}).get("subgraphs", [])}
    nodes = [node for node in workflow["nodes"] if node["type"] not in subgraphs]
    sources: dict[Any, Source] = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    promoted: dict[tuple[str, str], Any] = {}
    outputs: dict[Source, Source] = {}
    for host in workflow["nodes"]:
        if host["type"] in subgraphs:
            inner = _Inner(host, subgraphs[host["type"]], sources)
            nodes += inner.nodes
            promoted |= inner.promoted
            outputs |= inner.outputs
            sources |= inner.sources
    return FlatWorkflow(nodes, {name: outputs.get(source, source) for name, source in sources.items()}, promoted)


class _Inner:
    """The content of one subgraph node.

    Attributes:
        nodes: Inner nodes with numbers of their own; their links too have new names.
        sources: Name of a link -> where it comes from.
        outputs: Output of the subgraph node -> the inner output behind it.
        promoted: (inner node, widget) -> value that the subgraph node shows and sets.
    """

    def __init__(self, host: dict[str, Any], subgraph: dict[str, Any], outer: dict[Any, Source]) -> None:
        prefix = f"{host['id']}:"
        slots = {socket["name"]: socket for socket in host.get("inputs", [])}
        values = dict(
            zip(
                [name for name, socket in slots.items() if "widget" in socket],
                host.get("widgets_values", []),
                strict=False,
            )
        )
        self.nodes = copy.deepcopy(subgraph["nodes"])
        self.sources: dict[Any, Source] = {}
        self.outputs: dict[Source, Source] = {}
        self.promoted: dict[tuple[str, str], Any] = {}
        links = {link["id"]: link for link in subgraph["links"]}
        for node in self.nodes:
            node["id"] = f"{prefix}{node['id']}"
            for socket in node.get("inputs", []):
                if socket["link"] is None:
                    continue
                link = links[socket["link"]]
                socket["link"] = None
                name = f"{prefix}{link['id']}"
                if link["origin_id"] != _INPUTS:
                    socket["link"] = name
                    self.sources[name] = (f"{prefix}{link['origin_id']}", link["origin_slot"])
                    continue
                outside = subgraph["inputs"][link["origin_slot"]]["name"]
                if slots[outside]["link"] is not None:
                    socket["link"] = name
                    self.sources[name] = outer[slots[outside]["link"]]
                elif values.get(outside) is not None:
                    self.promoted[node["id"], socket["name"]] = values[outside]
        for link in links.values():
            if link["target_id"] == _OUTPUTS:
                self.outputs[host["id"], link["target_slot"]] = (f"{prefix}{link['origin_id']}", link["origin_slot"])
