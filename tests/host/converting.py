"""A workflow as the page saves it -> the graph that the page would send."""

from __future__ import annotations

from typing import Any

from .comfy import Api

_NOT_SENT = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
_MUTED = 2
_CONTROL = ("fixed", "increment", "decrement", "randomize")


def to_api(workflow: dict[str, Any], object_info: dict[str, Any], *, muted: bool = False) -> Api:
    """Convert.

    Args:
        workflow: JSON of a file in workflows/.
        object_info: the host's description of every node.
        muted: take muted nodes too, which the page leaves out.
    """
    links = {link[0]: link for link in workflow["links"]}
    nodes = [node for node in workflow["nodes"] if node["type"] not in _NOT_SENT]
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, links, object_info[node["type"]])}
        for node in nodes
        if muted or node["mode"] != _MUTED
    }


def _inputs(node: dict[str, Any], links: dict[int, list[Any]], described: dict[str, Any]) -> dict[str, Any]:
    values = list(node["widgets_values"])
    inputs: dict[str, Any] = {}
    for section in ("required", "optional"):
        for name, (kind, *options) in described["input"].get(section, {}).items():
            if not _is_widget(kind):
                continue
            if not values and section == "optional":
                continue  # newer than the workflow
            inputs[name] = values.pop(0)
            if options and options[0].get("control_after_generate") and values and values[0] in _CONTROL:
                values.pop(0)
            if options and (options[0].get("image_upload") or options[0].get("video_upload")):
                values.pop(0)  # the button
    assert not values, f"{node['type']} has values for no widget: {values}"
    for socket in node["inputs"]:
        if socket["link"] is not None:
            _, origin, output, *_ = links[socket["link"]]
            inputs[socket["name"]] = [str(origin), output]
    return inputs


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
