"""Start each ComfyUI that is found, with a tiny random-weight model, four pictures, and photos of toy faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from refldm_core.checkpoints.building import load_model
from refldm_core.images import load_image, to_tensor
from refldm_core.pipeline import Restorer

from .comfy import HOW_TO_GET_A_HOST, Server, find_hosts, make_base, running
from .content import add_toy_faces, fill_base, write_models
from .faces import require_packages

HOSTS = find_hosts()


@pytest.fixture(scope="session", params=HOSTS or [None], ids=lambda host: host.name if host else "none")
def host(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip(HOW_TO_GET_A_HOST)
    return request.param


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.safetensors (EMA weights) and raw.safetensors (raw weights, the same first stage)."""
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def base(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a ComfyUI, with the models and pictures that the tests' graphs name."""
    base = make_base(tmp_path_factory.mktemp(host.name) / "base")
    fill_base(base, model_files)
    return base


@pytest.fixture(scope="session")
def server(host: Path, base: Path) -> Iterator[Server]:
    with running(host, base, "--preview-method", "latent2rgb") as server:
        server.probe()  # the first call starts the counting
        yield server


@pytest.fixture(scope="session")
def core(model_files: Path) -> Restorer:
    """The same model without a host, as `refldm restore` runs it."""
    model = load_model(model_files / "tiny.safetensors")
    return Restorer(model.unet, model.first_stage, model.spec)


@pytest.fixture(scope="session")
def pictures(base: Path) -> dict[str, Tensor]:
    """File name -> the picture as (3, 128, 128) in [-1, 1]."""
    return {path.name: to_tensor(load_image(path), 128) for path in (base / "input").glob("*.png")}


@pytest.fixture(scope="module")
def face_server(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server with toy face networks and photos of toy faces."""
    require_packages(host)
    photos = add_toy_faces(base)
    yield server
    for path in photos:
        path.unlink()
