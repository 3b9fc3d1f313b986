"""Scan the archive as ComfyUI's registry does, for code that could harm a user's machine.

The registry's scanner is not public. These tests look for the abilities that its documentation and its findings in
other packs name: starting programs, code made from text, hidden code, the network, the environment, and pickles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from .archive import ROOT, archived_files, modules

MODULES = {
    **dict.fromkeys(("subprocess", "multiprocessing", "pty", "ctypes", "cffi", "winreg", "_winapi"), "programs"),
    **dict.fromkeys(("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "telnetlib", "xmlrpc"), "network"),
    **dict.fromkeys(("requests", "httpx", "aiohttp", "urllib3", "websockets", "huggingface_hub", "pip"), "network"),
    **dict.fromkeys(("pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"), "pickles"),
    **dict.fromkeys(("base64", "binascii", "codecs", "zlib", "bz2", "lzma", "runpy", "code"), "hidden code"),
    **dict.fromkeys(("importlib", "imp"), "imports by name"),
    "server": "network",  # ComfyUI's own module, which sends messages to the page
}
"""Top-level module -> the ability that the scanner reports."""

CALLS = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "code from text"),
    **dict.fromkeys(("globals", "vars"), "hidden code"),
    **dict.fromkeys(("os.system", "os.popen", "os.startfile", "os.fork", "os.kill"), "programs"),
    **dict.fromkeys(("os.getenv", "os.environ", "os.putenv", "os.environb"), "environment"),
    **dict.fromkeys(("torch.hub", "torch.load", "numpy.load", "np.load"), "pickles"),
}
"""Name with its module -> the ability that the scanner reports. `os.exec*` and `os.spawn*` count as `os.system`."""

LONGEST_WORD = 200
"""Longest allowed run of characters without a space in a string. Encoded code is longer."""

ALLOWED = {
    "nodes/host/messages.py: network (server)": "ComfyUI's own server object sends a node's messages to the open page",
    "nodes/host/routes.py: network (aiohttp)": "answers of the routes under /refldm, in the types of ComfyUI's server",
    "nodes/host/routes.py: network (server)": "ComfyUI's own server object, which the routes are added to",
    "nodes/origin.py: network (urllib)": "urllib.parse splits the address in a header; no connection is opened",
    "refldm_core/checkpoints/reading.py: pickles (pickle)": "the names of pickle's errors; torch reads weights only",
    "refldm_core/checkpoints/reading.py: pickles (torch.load)": "weights_only=True, after pickles.py checked the file",
    "refldm_core/images.py: hidden code (zlib)": "zlib.error, which Pillow lets through from damaged pictures",
    "refldm_core/face/packages.py: imports by name (importlib)": "face packages and PyAV, which not everybody has",
    "refldm_core/face/scipy_functions.py: imports by name (importlib)": "SciPy's modules, which have no types",
}
"""Finding -> the reason why it is harmless."""


def findings(tree: ast.AST) -> Iterator[str]:
    """Yield what the scanner finds in a module, as "ability (name)"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names = [node.func.id]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            if max(map(len, node.value.split()), default=0) > LONGEST_WORD:
                yield f"hidden code (line {node.lineno})"
            continue
        else:
            continue
        yield from filter(None, map(_ability, names))


def _ability(name: str) -> str | None:
    """Return the ability and the name, as "ability (name)", or None for a harmless name."""
    if name in CALLS:
        return f"{CALLS[name]} ({name})"
    if re.match(r"os\.(exec|spawn|posix_spawn)", name):
        return f"programs ({name})"
    top = name.partition(".")[0]
    return f"{MODULES[top]} ({top})" if top in MODULES else None


def test_scan_finds_only_explained_findings() -> None:
    trees = {name: ast.parse((ROOT / name).read_text(encoding="utf-8")) for name in modules()}
    scanned = {f"{name}: {finding}" for name, tree in trees.items() for finding in findings(tree)}
    assert scanned == set(ALLOWED)


def test_checkpoints_are_read_without_running_code() -> None:
    tree = ast.parse((ROOT / "refldm_core/checkpoints/reading.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert loads
    for call in loads:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options["weights_only"] == "True"


def test_scripts_and_pages_fetch_nothing() -> None:
    pattern = re.compile(r"\beval\(|\bFunction\(|XMLHttpRequest|WebSocket|\b(?:import|fetch)\(\s*[\"'`]http|<script")
    for name in archived_files():
        if name.endswith((".js", ".html", ".css", ".md")):
            assert not pattern.search((ROOT / name).read_text(encoding="utf-8")), name


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("import subprocess", "programs (subprocess)"),
        ("from os import system", "programs (os.system)"),
        ("import os\nos.execv('a', [])", "programs (os.execv)"),
        ("eval('1')", "code from text (eval)"),
        ("from urllib.request import urlopen", "network (urllib)"),
        ("import os\nkey = os.environ['KEY']", "environment (os.environ)"),
        ("from os import getenv", "environment (os.getenv)"),
        ("import base64", "hidden code (base64)"),
        (f"code = {'x' * 300!r}", "hidden code (line 1)"),
    ],
)
def test_scan_detects_harmful_code(source: str, finding: str) -> None:
    assert finding in set(findings(ast.parse(source)))
