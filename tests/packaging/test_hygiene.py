"""What ComfyUI's registry scans an archive for: code that could harm the machine of whoever installs the pack.

The scanner is not public. This is what its documentation and its findings in other packs name: programs that are
started, code made from text, hidden code, the network, the environment, and pickles.
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
    "server": "network",  # ComfyUI's own: its messages to the page
}
"""Top-level module -> what it can do."""

CALLS = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "code from text"),
    **dict.fromkeys(("globals", "vars"), "hidden code"),
    **dict.fromkeys(("os.system", "os.popen", "os.startfile", "os.fork", "os.kill"), "programs"),
    **dict.fromkeys(("os.getenv", "os.environ", "os.putenv", "os.environb"), "environment"),
    **dict.fromkeys(("torch.hub", "torch.load", "numpy.load", "np.load"), "pickles"),
}
"""Name, as written with its module -> what it can do. `os.exec*` and `os.spawn*` count as `os.system`."""

LONGEST_WORD = 200
"""Characters without a space in a string; encoded code is longer."""

ALLOWED = {
    "nodes/host/messages.py: network (server)": "ComfyUI's own server object sends a node's messages to the open page",
    "nodes/host/routes.py: network (aiohttp)": "answers of the routes under /refldm, in the types of ComfyUI's server",
    "nodes/host/routes.py: network (server)": "ComfyUI's own server object, which the routes are added to",
    "nodes/origin.py: network (urllib)": "urllib.parse takes the address in a header apart; nothing is opened",
    "refldm_core/checkpoints/reading.py: pickles (pickle)": "the names of pickle's errors; torch reads weights only",
    "refldm_core/checkpoints/reading.py: pickles (torch.load)": "weights_only=True, after pickles.py checked the file",
    "refldm_core/images.py: hidden code (zlib)": "zlib.error, which Pillow lets through from damaged pictures",
    "refldm_core/face/packages.py: imports by name (importlib)": "the face packages, which not everybody installs",
    "refldm_core/face/scipy_functions.py: imports by name (importlib)": "SciPy's modules, which have no types",
}
"""Findings -> why they are harmless."""


def findings(tree: ast.AST) -> Iterator[str]:
    """What a scanner finds in a module, as "ability (name)"."""
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
    """What a name can do, with the name; None for nothing of concern."""
    if name in CALLS:
        return f"{CALLS[name]} ({name})"
    if re.match(r"os\.(exec|spawn|posix_spawn)", name):
        return f"programs ({name})"
    top = name.partition(".")[0]
    return f"{MODULES[top]} ({top})" if top in MODULES else None


def test_only_what_is_explained_is_found() -> None:
    trees = {name: ast.parse((ROOT / name).read_text(encoding="utf-8")) for name in modules()}
    found = {f"{name}: {finding}" for name, tree in trees.items() for finding in findings(tree)}
    assert found == set(ALLOWED)


def test_checkpoints_are_read_without_running_code() -> None:
    tree = ast.parse((ROOT / "refldm_core/checkpoints/reading.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert loads
    for call in loads:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options["weights_only"] == "True"


def test_its_scripts_and_pages_fetch_nothing() -> None:
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
def test_the_scan_itself_finds(source: str, finding: str) -> None:
    assert finding in set(findings(ast.parse(source)))
