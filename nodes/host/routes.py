"""HTTP routes of this pack under /refldm, for its own page only."""
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
"""Bytes of a request's content: names, and nothing else."""


def register_routes(
    *,
    get: dict[str, Callable[..., Any]],
    post: dict[str, Callable[..., Any]],
    pictures: dict[str, Callable[..., bytes]],
) -> None:
    """Add routes to the host's server, if there is one: tools load the nodes without.

    Args:
        get: path below /refldm -> function of the query's texts, which returns JSON.
        post: path below /refldm -> function of the texts in a JSON object, which returns JSON.
        pictures: path below /refldm -> function of the query's texts, which returns a WebP picture.
    """
    from server import PromptServer  # noqa: PLC0415  # importing it starts nothing, but only a host has it

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
            texts = await _texts(request) if writes else dict(request.query)
            arguments = signature(function).bind(**texts)
        except (TypeError, ValueError):  # other arguments than the function has, or no JSON
            return web.json_response({"error": "The request has another form than this route expects."}, status=400)
        try:
            return answer(await asyncio.to_thread(function, *arguments.args, **arguments.kwargs))
        except ReFLDMError as error:
            return web.json_response({"error": str(error)}, status=400)

    return handle


async def _texts(request: web.Request) -> dict[str, str]:
    """Raises: ValueError: anything but a small JSON object of texts."""
    if request.content_length is None or request.content_length > _LONGEST:
        raise ValueError("a content that is long, or that does not say how long it is")
    content = await request.json()
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise ValueError("no object of texts")
    return content


def _picture(content: bytes) -> web.Response:
    return web.Response(body=content, content_type="image/webp", headers={"Cache-Control": "no-cache"})
