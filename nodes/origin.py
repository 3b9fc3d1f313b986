"""Which HTTP requests come from this pack's own page: what a foreign page sends is refused."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def reason_to_refuse(headers: Mapping[str, str], *, writes: bool) -> str:
    """Why a request is not from a page of this server; "" where it is.

    A browser sends `Origin` with every POST, and `Sec-Fetch-Site` with every request to a trustworthy address
    (HTTPS, localhost). A page cannot change either of them.

    Args:
        headers: of the request, with names that ignore capitals.
        writes: the request changes files. It then needs an `Origin`, and a content of type JSON, which a foreign page
            cannot send without asking the server first.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return f"it comes from another site (Sec-Fetch-Site: {site})"
    origin = headers.get("Origin")
    if origin is None:
        return "it has no Origin" if writes else ""
    if not _same(origin, headers.get("Host", "")):
        return "its Origin is not this server"
    if writes and headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return "its content is not application/json"
    return ""


def _same(origin: str, host: str) -> bool:
    """Whether an origin, such as http://localhost:8188, is the server of a `Host` header, such as localhost:8188.

    The scheme counts for the default port only: a proxy may speak HTTPS for a server that speaks HTTP.
    """
    try:
        page = urlsplit(origin)
        own = urlsplit(f"//{host}")
        default = _PORTS.get(page.scheme)
        if default is None or not page.hostname:
            return False
        return (page.hostname, page.port or default) == (own.hostname, own.port or default)
    except ValueError:  # a port that is no number
        return False
