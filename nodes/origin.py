"""Checks that HTTP requests come from this server's own page. Requests of foreign pages are refused."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def reason_to_refuse(headers: Mapping[str, str], *, writes: bool) -> str:
    """Return why a request is not from a page of this server, or "" if it is.

    A browser sends `Origin` with every POST, and `Sec-Fetch-Site` with every request to a trustworthy address
    (HTTPS, localhost). A page cannot change these two headers.

    Args:
        headers: Headers of the request. Looking up a name must ignore capitals.
        writes: Whether the request changes files. If so, it needs an `Origin` and a JSON content. A foreign page cannot
            send JSON without asking the server first.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return f"it comes from another site (Sec-Fetch-Site: {site})"
    origin = headers.get("Origin")
    if origin is None:
        return "it has no Origin" if writes else ""
    if not _is_same_server(origin, headers.get("Host", "")):
        return "its Origin is not this server"
    if writes and headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return "its content is not application/json"
    return ""


def _is_same_server(origin: str, host: str) -> bool:
    """Return whether an origin (http://localhost:8188) is the server in a `Host` header (localhost:8188).

    The scheme only decides the default port, since a proxy may speak HTTPS for a server that speaks HTTP.
    """
    try:
        page = urlsplit(origin)
        this_server = urlsplit(f"//{host}")
        default_port = _PORTS.get(page.scheme)
        if default_port is None or not page.hostname:
            return False
        return (page.hostname, page.port or default_port) == (this_server.hostname, this_server.port or default_port)
    except ValueError:  # the port is not a number
        return False
