"""Convert a workflow, as the page saves it, to the graph that the page would send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .comfy import Api
from .subgraphs import Source, flatten

_NOT_SENT = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
_MUTED = 2  # a node's `mode`
_SEED_CONTROLS = ("fixed", "increment", "decrement", "randomize")


def to_api(workflow: dict[str, Any], object_info: dict[str, Any], *, muted: bool = False) -> Api:
    """Return the graph that the page would send for a workflow.

    Args:
        workflow: JSON of a workflow file.
        object_info: The host's description of every node.
        muted: Include muted nodes, which the page leaves out.
    """
    nodes, sources, promoted = flatten(workflow)
    api = {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": _values(node, object_info[node["type"]]["input"]) | _links(node, sources),
        }
        for node in nodes
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


def _values(node: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a node's widgets.

    The page of 0.33.0 saves them by name too, including widgets that are its own or newer than the host. Earlier files
    identify them by their order only.
    """
    inputs = {name: spec for section in ("required", "optional") for name, spec in described.get(section, {}).items()}
    if "widgets_values_named" in node:
        return {name: value for name, value in node["widgets_values_named"].items() if name in inputs}
    return _values_in_order(node, inputs, optional=described.get("optional", {}))


def _values_in_order(node: dict[str, Any], inputs: Mapping[str, Any], optional: Mapping[str, Any]) -> dict[str, Any]:
    remaining = list(node.get("widgets_values", []))
    values: dict[str, Any] = {}
    for name, (kind, *options) in inputs.items():
        if not _is_widget(kind):
            continue
        if not remaining and name in optional:
            continue  # the widget is newer than the workflow
        values[name] = remaining.pop(0)
        if options and options[0].get("control_after_generate") and remaining and remaining[0] in _SEED_CONTROLS:
            remaining.pop(0)
        if options and (options[0].get("image_upload") or options[0].get("video_upload")):
            remaining.pop(0)  # the value of the upload button
    assert not remaining, f"{node['type']} has values for no widget: {remaining}"
    return values


def _links(node: dict[str, Any], sources: Mapping[Any, Source]) -> dict[str, Any]:
    links: dict[str, Any] = {}
    for socket in node.get("inputs", []):
        if socket["link"] is not None:
            origin, output = sources[socket["link"]]
            links[socket["name"]] = [str(origin), output]
    return links


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
