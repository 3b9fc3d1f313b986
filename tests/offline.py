"""A stand-in for a machine without a network."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


def forbid_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to look up or to reach another machine fail the test."""

    def refuse(*arguments: object, **_options: object) -> NoReturn:
        raise AssertionError(f"a connection was attempted: {arguments[-1]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
