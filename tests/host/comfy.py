"""Find a ComfyUI, start it in a subprocess with a base folder of its own, and talk to it over HTTP."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image

PACK = Path(__file__).parents[2]
PACK_NAME = "refldm"
PROBE = Path(__file__).parent / "probe"

HOW_TO_GET_A_HOST = (
    "no ComfyUI found: git clone https://github.com/comfyanonymous/ComfyUI, install its requirements.txt into a .venv "
    "inside it, then set COMFYUI_PATH to it or put it in ~/.cache/comfyui-refldm/"
)

Api = dict[str, dict[str, Any]]
"""A graph in the format of POST /prompt. It maps each node number to a class_type and inputs."""


def find_hosts() -> list[Path]:
    """Return the folders of the ComfyUIs that the tests run in.

    They are the paths in COMFYUI_PATH, separated as in PATH. Without that variable it is the ComfyUI whose custom_nodes
    folder holds this checkout, or else each one in ~/.cache/comfyui-refldm.
    """
    listed = [Path(path).expanduser() for path in os.environ.get("COMFYUI_PATH", "").split(os.pathsep) if path]
    surrounding = [PACK.parent.parent] if PACK.parent.name == "custom_nodes" else []
    cached = sorted((Path.home() / ".cache" / "comfyui-refldm").glob("*"))
    candidates = listed or surrounding or cached
    return [path for path in candidates if (path / "main.py").is_file() and (path / "comfy").is_dir()]


def python_of(host: Path) -> str:
    """Return the Python of the host's own environment, or else the one that runs the tests."""
    candidates = [host / ".venv" / "bin" / "python", host / ".venv" / "Scripts" / "python.exe"]
    return next((str(path) for path in candidates if path.exists()), sys.executable)


def make_base(base: Path, pack: Path = PACK) -> Path:
    """Make the folders of a ComfyUI without its code. They hold a link to the pack and a copy of the test probe."""
    for name in ("models/refldm", "models/loras", "custom_nodes", "input", "output", "temp", "user"):
        (base / name).mkdir(parents=True)
    (base / "custom_nodes" / PACK_NAME).symlink_to(pack, target_is_directory=True)
    shutil.copytree(PROBE, base / "custom_nodes" / "refldm-probe")
    return base


class PromptError(Exception):
    """The host refused a prompt, or a node failed. The text is the message of the node."""


class Server:
    """A running ComfyUI."""

    def __init__(self, host: Path, base: Path, flags: Sequence[str] = ()) -> None:
        self.host = host
        self.base = base
        self.log_path = base / "server.log"
        with socket.socket() as free_socket:
            free_socket.bind(("127.0.0.1", 0))
            self.port = free_socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [python_of(host), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--base-directory", str(base), "--database-url", "sqlite:///:memory:", "--disable-auto-launch"]
        # One thread. More threads of torch would wait for each other in busy loops, for minutes on a busy machine.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._log = self.log_path.open("ab")
        self._process = subprocess.Popen(
            [*command, *flags], cwd=host, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._wait_until_up()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def _wait_until_up(self, seconds: float = 180.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/system_stats", timeout=5).ok:
                    return
            time.sleep(0.3)
        self.stop()
        raise RuntimeError(f"ComfyUI did not start:\n{self.log[-4000:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def get(self, path: str) -> Any:
        answer = requests.get(self.url + path, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, content: Any = None) -> requests.Response:
        return requests.post(self.url + path, json=content or {}, timeout=60)

    def free(self) -> None:
        """Empty the host's cache of node outputs and unload its models.

        The host does so between prompts. It may overlook a request that arrives while it tidies up after a prompt,
        until the next request or prompt. So the request is repeated until the host has taken it.
        """
        for _ in range(100):
            self.post("/free", {"unload_models": True, "free_memory": True})
            time.sleep(0.1)
            if not requests.get(f"{self.url}/refldm_probe/pending", timeout=60).json():
                return
        raise AssertionError("The host did not take the request to free its memory.")

    def queue(self, api: Api, client: str = "") -> str:
        """Send a graph as a client (a new one by default), and return its prompt id.

        Raises:
            PromptError: The host refused the graph.
        """
        answer = self.post("/prompt", {"prompt": api, "client_id": client or uuid.uuid4().hex})
        content = answer.json()
        errors = content.get("node_errors") or {}
        if not answer.ok or errors:
            details = [
                f"{error['message']}: {error['details']}" for node in errors.values() for error in node["errors"]
            ]
            raise PromptError("\n".join(details) or str(content))
        return content["prompt_id"]

    def wait(self, prompt_id: str, seconds: float = 240.0) -> dict[str, Any]:
        """Wait until a prompt has succeeded or failed, and return its entry in the history."""
        end = time.monotonic() + seconds
        pause = 0.02
        while time.monotonic() < end:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry and entry["status"].get("completed") is not None:
                return entry
            assert self._process.poll() is None, f"ComfyUI ended:\n{self.log[-4000:]}"
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)
        raise TimeoutError(f"prompt {prompt_id} did not end:\n{self.log[-4000:]}")

    def run(self, api: Api) -> dict[str, Any]:
        """Run a graph, and return what each node number sends to the page.

        Raises:
            PromptError: The host refused the graph, or a node failed.
        """
        entry = self.wait(self.queue(api))
        for kind, content in entry["status"]["messages"]:
            if kind == "execution_error":
                raise PromptError(f"{content['node_type']}: {content['exception_message']}")
        assert entry["status"]["status_str"] == "success", entry["status"]
        return entry["outputs"]

    def picture(self, file: dict[str, Any]) -> NDArray[np.uint8]:
        """Fetch a picture that a node saved or previewed, as (height, width, 3)."""
        answer = requests.get(f"{self.url}/view", params=file, timeout=60)
        answer.raise_for_status()
        return np.array(Image.open(io.BytesIO(answer.content)).convert("RGB"))

    def pictures(self, api: Api) -> list[NDArray[np.uint8]]:
        """Run a graph, and fetch the pictures that its nodes SaveImage and PreviewImage made."""
        outputs = self.run(api)
        ends = [node for node, content in api.items() if content["class_type"] in ("SaveImage", "PreviewImage")]
        return [self.picture(file) for node in ends for file in outputs[node]["images"]]

    def probe(self) -> dict[str, Any]:
        """Return what the probe counted since the last call."""
        return self.get("/refldm_probe")


@contextlib.contextmanager
def running(host: Path, base: Path, *flags: str) -> Iterator[Server]:
    """Start a server, and stop it at the end, also after an error."""
    server = Server(host, base, flags)
    try:
        yield server
    finally:
        server.stop()
