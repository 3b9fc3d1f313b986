"""The check of HTTP requests refuses foreign pages."""

from __future__ import annotations

import pytest

from .pack import load

reason_to_refuse = load("nodes.origin").reason_to_refuse

HOST = {"Host": "localhost:8188"}
OWN = {**HOST, "Origin": "http://localhost:8188", "Content-Type": "application/json; charset=utf-8"}


def test_requests_of_the_own_page_are_allowed() -> None:
    assert reason_to_refuse(OWN, writes=True) == ""
    assert reason_to_refuse({**OWN, "Sec-Fetch-Site": "same-origin"}, writes=True) == ""
    assert reason_to_refuse(HOST, writes=False) == "", "browsers send no Origin with their own page's GET"


@pytest.mark.parametrize(
    ("host", "origin"),
    [("example.org", "https://example.org"), ("example.org:443", "https://example.org"), ("[::1]:80", "http://[::1]")],
)
def test_default_ports_and_proxies_are_allowed(host: str, origin: str) -> None:
    assert reason_to_refuse({**OWN, "Host": host, "Origin": origin}, writes=True) == ""


@pytest.mark.parametrize(
    ("changed_headers", "reason"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
        ({"Sec-Fetch-Site": "same-site"}, "another site"),
        ({"Sec-Fetch-Site": "none"}, "another site"),
        ({"Origin": "http://evil.example"}, "not this server"),
        ({"Origin": "http://localhost:8189"}, "not this server"),
        ({"Origin": "http://localhost"}, "not this server"),
        ({"Origin": "http://localhost.evil.example:8188"}, "not this server"),
        ({"Origin": "null"}, "not this server"),
        ({"Origin": "file://localhost:8188"}, "not this server"),
        ({"Origin": "http://localhost:x"}, "not this server"),
        ({"Origin": ""}, "not this server"),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_foreign_pages_are_refused(changed_headers: dict[str, str], reason: str, writes: bool) -> None:
    assert reason in reason_to_refuse({**OWN, **changed_headers}, writes=writes)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_may_write(kind: str) -> None:
    """A form of a foreign page can send one of these types without asking the server first."""
    assert "application/json" in reason_to_refuse({**OWN, "Content-Type": kind}, writes=True)


def test_writing_needs_an_origin() -> None:
    without = {name: value for name, value in OWN.items() if name != "Origin"}
    assert "no Origin" in reason_to_refuse(without, writes=True)
