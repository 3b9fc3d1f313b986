"""A workflow as the page of 0.33.0 saves it, with subgraphs and names of values -> the graph that it would send."""

from __future__ import annotations

import copy
from typing import Any

from .comfy import Api

_NOT_SENT = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
_MUTED = 2

_INPUTS, _OUTPUTS = -10, -20
"""Numbers of the nodes in a subgraph that stand for its own inputs and outputs."""

Source = tuple[Any, int]
"""Node number and output."""


def to_api(workflow: dict[str, Any], object_info: dict[str, Any], *, muted: bool = False) -> Api:
    """Convert a workflow whose subgraphs hold no further subgraphs. Numbers of inner nodes are "outer:inner".

    Args:
        workflow: JSON of a workflow file.
        object_info: The host's description of each node.
        muted: Take muted nodes too, which the page leaves out.
    """
    subgraphs = {item["id"]: item for item in workflow.get("definitions", {}).get("subgraphs", [])}
    hosts = [node for node in workflow["nodes"] if node["type"] in subgraphs]
    flat = {**workflow, "nodes": [node for node in workflow["nodes"] if node["type"] not in subgraphs], "links": []}
    sources = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    promoted: dict[tuple[str, str], Any] = {}
    outputs: dict[Source, Source] = {}
    for host in hosts:
        inner = _Inner(host, subgraphs[host["type"]], sources)
        flat["nodes"] += inner.nodes
        promoted |= inner.promoted
        outputs |= inner.outputs
        sources |= inner.sources
    for number, source in sources.items():
        node, output = outputs.get(source, source)
        flat["links"].append([number, node, output])
    links = {link[0]: link for link in flat["links"]}
    api = {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, links, object_info[node["type"]])}
        for node in flat["nodes"]
        if node["type"] not in _NOT_SENT and (muted or node["mode"] != _MUTED)
    }
    for (node, name), value in promoted.items():
        api[node]["inputs"][name] = value
    return api


def without_newer_values(api: Api, object_info: dict[str, Any]) -> Api:
    """Return a graph without the values, links excepted, that this host does not describe."""
    narrowed: Api = {}
    for number, node in api.items():
        described = object_info[node["class_type"]]["input"]
        names = {name for section in ("required", "optional") for name in described.get(section, {})}
        inputs = {name: value for name, value in node["inputs"].items() if name in names or isinstance(value, list)}
        narrowed[number] = {**node, "inputs": inputs}
    return narrowed


def _inputs(node: dict[str, Any], links: dict[Any, Any], described: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a node's widgets by the names in the file, and its links.

    Widgets that the host does not describe are the page's own, such as the upload button, or newer than the host.
    """
    names = [name for section in ("required", "optional") for name in described["input"].get(section, {})]
    values = node.get("widgets_values_named", {})
    inputs = {name: values[name] for name in names if name in values}
    for socket in node.get("inputs", []):
        if socket["link"] is not None:
            _, origin, output, *_ = links[socket["link"]]
            inputs[socket["name"]] = [str(origin), output]
    return inputs


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
