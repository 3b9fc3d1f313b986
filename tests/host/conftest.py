"""Start each ComfyUI that is found, with a tiny random-weight model, four pictures, and photos of toy faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.saving import convert
from refldm_core.images import load_image, to_tensor
from refldm_core.pipeline import Restorer
from tests.weights import GOLDEN, write_tiny

from .comfy import HOW_TO_GET_A_HOST, Server, find_hosts, make_base, running
from .faces import PEOPLE, photo, require_packages, save_networks, save_picture

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
    tiny = write_tiny(folder / "source")
    convert(tiny.ckpt, folder / "tiny.safetensors", config=tiny.config)
    convert(tiny.ckpt, folder / "raw.safetensors", config=tiny.config, weights="raw")
    return folder


@pytest.fixture(scope="session")
def base(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a ComfyUI, with the models and pictures that the tests' graphs name."""
    base = make_base(tmp_path_factory.mktemp(host.name) / "base")
    for model in model_files.glob("*.safetensors"):
        (base / "models" / "refldm" / model.name).symlink_to(model)
    # The shipped workflows use this name. The loader recognizes the kind of a file by its content.
    (base / "models" / "refldm" / "refldm.ckpt").symlink_to(model_files / "tiny.safetensors")
    save_file(lora_weights(), base / "models" / "loras" / "lora.safetensors")
    golden = load_file(GOLDEN / "golden.safetensors")
    pictures = {
        "face.png": golden["in.lq_u8"][0],
        **{f"reference_{i + 1}.png": golden["in.ref_u8"][0, i] for i in range(3)},
    }
    for name, picture in pictures.items():
        Image.fromarray(picture.movedim(0, -1).numpy()).save(base / "input" / name)
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


def lora_weights() -> dict[str, Tensor]:
    """Return a LoRA on two layers of the tiny U-Net, with the key names of LoRA files."""
    generator = torch.Generator().manual_seed(3)
    shapes = {"middle_block_1_qkv": (384, 128), "input_blocks_3_1_proj_out": (64, 64)}
    weights: dict[str, Tensor] = {}
    for name, (out_channels, in_channels) in shapes.items():
        weights[f"lora_unet_{name}.lora_up.weight"] = 0.3 * torch.randn(out_channels, 4, 1, generator=generator)
        weights[f"lora_unet_{name}.lora_down.weight"] = 0.3 * torch.randn(4, in_channels, 1, generator=generator)
    return weights


@pytest.fixture(scope="session")
def pictures(base: Path) -> dict[str, Tensor]:
    """File name -> the picture as (3, 128, 128) in [-1, 1]."""
    return {path.name: to_tensor(load_image(path), 128) for path in (base / "input").glob("*.png")}


@pytest.fixture(scope="module")
def face_server(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server with toy face networks and photos of toy faces."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    pictures = {
        "group.png": photo([2, -2, 1, 0]),
        "one.png": photo([2]),
        "empty.png": photo([]),
        "frame_1.png": photo([2, 0]),
        "frame_2.png": photo([2, 0], shift=16),
        "frame_3.png": photo([None, 0], shift=32),
    }
    for name, person in PEOPLE.items():
        pictures[f"{name}_1.png"] = photo([person])
        pictures[f"{name}_2.png"] = photo([person], background=110)
    for name, picture in pictures.items():
        save_picture(picture, base / "input" / name)
    yield server
    for name in pictures:
        (base / "input" / name).unlink()
