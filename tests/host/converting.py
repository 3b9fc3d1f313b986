"""Convert a workflow, as the page saves it, to the graph that the page would send."""

from __future__ import annotations

from typing import Any

from .comfy import Api

_NOT_SENT = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
_MUTED = 2  # a node's `mode`
_SEED_CONTROLS = ("fixed", "increment", "decrement", "randomize")


def to_api(workflow: dict[str, Any], object_info: dict[str, Any], *, muted: bool = False) -> Api:
    """Return the graph that the page would send for a workflow.

    Args:
        workflow: JSON of a file in workflows/.
        object_info: The host's description of every node.
        muted: Include muted nodes, which the page leaves out.
    """
    links = {link[0]: link for link in workflow["links"]}
    nodes = [node for node in workflow["nodes"] if node["type"] not in _NOT_SENT]
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, links, object_info[node["type"]])}
        for node in nodes
        if muted or node["mode"] != _MUTED
    }


def _inputs(node: dict[str, Any], links: dict[int, list[Any]], description: dict[str, Any]) -> dict[str, Any]:
    values = list(node["widgets_values"])
    inputs: dict[str, Any] = {}
    for section in ("required", "optional"):
        for name, (kind, *options) in description["input"].get(section, {}).items():
            if not _is_widget(kind):
                continue
            if not values and section == "optional":
                continue  # the widget is newer than the workflow
            inputs[name] = values.pop(0)
            if options and options[0].get("control_after_generate") and values and values[0] in _SEED_CONTROLS:
                values.pop(0)
            if options and (options[0].get("image_upload") or options[0].get("video_upload")):
                values.pop(0)  # the value of the upload button
    assert not values, f"{node['type']} has values for no widget: {values}"
    for socket in node["inputs"]:
        if socket["link"] is not None:
            _, origin, output, *_ = links[socket["link"]]
            inputs[socket["name"]] = [str(origin), output]
    return inputs


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
