"""Start a headless Chromium and each host that is found, with pages in the classic canvas and with Nodes 2.0."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.host.comfy import HOW_TO_GET_A_HOST, Server, find_hosts, make_base, running
from tests.host.faces import require_packages

from .browser import FLAGS, Canvas, open_canvas
from .inputs import save_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class View(NamedTuple):
    """A host, and the way in which its page draws nodes."""

    host: Path
    nodes_2: bool

    @property
    def name(self) -> str:
        return f"{self.host.name}-{'nodes2' if self.nodes_2 else 'classic'}"


def _views() -> list[View]:
    return [
        View(host, nodes_2) for host in find_hosts() for nodes_2 in ((False, True) if _has_nodes_2(host) else (False,))
    ]


def _has_nodes_2(host: Path) -> bool:
    """Whether Nodes 2.0 of this host shows the widgets of packs. 0.3.64 has a hidden experiment that does not."""
    version = (host / "comfyui_version.py").read_text(encoding="utf-8")
    return tuple(map(int, re.findall(r"\d+", version.partition("=")[2])[:2])) >= (0, 4)


VIEWS = _views()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no browser: install Chromium (Debian and Ubuntu: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip('there is no Playwright: pip install -e ".[web]" (it brings no browser of its own)')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=VIEWS or [None], ids=lambda view: view.name if view else "none")
def view(request: pytest.FixtureRequest) -> View:
    if request.param is None:
        pytest.skip(HOW_TO_GET_A_HOST)
    return request.param


@pytest.fixture(scope="session")
def server(view: View, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ComfyUI with this pack, and everything that the workflows read."""
    require_packages(view.host)
    base = make_base(tmp_path_factory.mktemp(view.name) / "base")
    save_inputs(view.host, base)
    with running(view.host, base) as server:
        yield server


@pytest.fixture(scope="module")
def canvas(view: View, server: Server, browser: Browser) -> Iterator[Canvas]:
    """A page that all tests of a module share."""
    with open_canvas(browser, server, nodes_2=view.nodes_2) as canvas:
        yield canvas
