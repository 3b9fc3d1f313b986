"""HTTP routes of this pack under /refldm. Only pages of the same server may use them."""
# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import signature
from typing import Any

from aiohttp import web

from ...refldm_core.errors import ReFLDMError
from ..origin import reason_to_refuse

_LONGEST = 4096
"""Largest content of a request in bytes. A content holds names only."""


def register_routes(
    *,
    get: dict[str, Callable[..., Any]],
    post: dict[str, Callable[..., Any]],
    pictures: dict[str, Callable[..., bytes]],
) -> None:
    """Add routes to the host's server. Without a server, as in tools that only list the nodes, do nothing.

    Args:
        get: Path below /refldm -> function of the query's texts, which returns JSON.
        post: Path below /refldm -> function of the texts in a JSON object, which returns JSON.
        pictures: Path below /refldm -> function of the query's texts, which returns a WebP picture.
    """
    from server import PromptServer  # noqa: PLC0415  # only a host has this module

    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    for path, function in get.items():
        server.routes.get(f"/refldm/{path}")(_handler(function, web.json_response))
    for path, function in pictures.items():
        server.routes.get(f"/refldm/{path}")(_handler(function, _picture))
    for path, function in post.items():
        server.routes.post(f"/refldm/{path}")(_handler(function, web.json_response))


def _handler(function: Callable[..., Any], answer: Callable[[Any], web.Response]) -> Callable[..., Any]:
    async def handle(request: web.Request) -> web.Response:
        writes = request.method == "POST"
        reason = reason_to_refuse(request.headers, writes=writes)
        if reason:
            return web.json_response({"error": f"The request is refused: {reason}."}, status=403)
        try:
            texts = await _read_texts(request) if writes else dict(request.query)
            arguments = signature(function).bind(**texts)
        except (TypeError, ValueError):  # wrong arguments, or no JSON
            return web.json_response({"error": "The request has a form that this route does not expect."}, status=400)
        try:
            return answer(await asyncio.to_thread(function, *arguments.args, **arguments.kwargs))
        except ReFLDMError as error:
            return web.json_response({"error": str(error)}, status=400)

    return handle


async def _read_texts(request: web.Request) -> dict[str, str]:
    """Return the texts in the JSON object that the request holds.

    Raises:
        ValueError: the content is too long, or is not a JSON object of texts.
    """
    if request.content_length is None or request.content_length > _LONGEST:
        raise ValueError("The content is too long, or its length is not stated.")
    content = await request.json()
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise ValueError("The content is not a JSON object of texts.")
    return content


def _picture(content: bytes) -> web.Response:
    return web.Response(body=content, content_type="image/webp", headers={"Cache-Control": "no-cache"})
