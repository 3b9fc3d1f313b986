"""Workflows on sample photos in a ComfyUI with the registry's archive and empty model folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core import embedded
from refldm_core.checkpoints.building import load_model
from refldm_core.demo.inputs import write_workflow_inputs
from tests.embedded import needs_embedded, trained_on
from tests.packaging.archive import unpack_archive

from .comfy import Server, make_base, running
from .faces import require_packages
from .test_workflows import NODES, api_of, numbered

pytestmark = needs_embedded


@pytest.fixture(scope="module")
def fresh(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a ComfyUI with the registry's archive, the files that `refldm comfyui --examples` copies, and no model."""
    require_packages(host)
    folder = tmp_path_factory.mktemp(f"{host.name}-fresh")
    base = make_base(folder / "base", unpack_archive(folder / "archive"))
    write_workflow_inputs(base / "input")
    with running(host, base) as server:
        yield server


def test_the_archive_provides_all_nodes(fresh: Server) -> None:
    assert "IMPORT FAILED" not in fresh.log
    assert {f"ReFLDM_{name}" for name in NODES} <= set(fresh.get("/object_info"))


def test_embedded_is_the_default_without_other_models(fresh: Server) -> None:
    inputs = {
        "LoadModel": "checkpoint",
        "LoadFaceDetector": "backend",
        "LoadFaceRecognizer": "model",
    }
    for node, name in inputs.items():
        _, options = fresh.get(f"/object_info/ReFLDM_{node}")[f"ReFLDM_{node}"]["input"]["required"][name]
        assert (options.get("default") or options["options"][0]) == "embedded"
        assert options["options"][-1] == "embedded"


@pytest.mark.parametrize("number", ["01", "04"])
def test_a_workflow_restores_with_the_embedded_models(fresh: Server, number: str) -> None:
    """The workflows restore a portrait and a face in a photo. Only the number of steps is not that of the files."""
    api = api_of(numbered(number))
    for node in api.values():
        if node["class_type"] == "ReFLDM_Sampler":
            node["inputs"]["steps"] = 4
    before = np.array(Image.open(fresh.base / "input" / ("photo.png" if number == "04" else "face.png")))
    outputs = fresh.run(api)
    end = next(node for node, content in api.items() if content["class_type"] == "SaveImage")
    after = fresh.picture(outputs[end]["images"][0])
    warned = [line for line in fresh.log.splitlines() if f"trained on {trained_on()} only" in line]
    assert any("The model was" in line for line in warned) and "choose refldm.ckpt" in warned[0]
    if number == "04":
        assert any("The detector was" in line for line in warned)
        assert after.shape == before.shape
        assert 1 < np.abs(after.astype(int) - before).mean() < 60
        assert (after[:2] == before[:2]).all(), "pixels outside the face are bit-identical"
    else:
        size = load_model(embedded.require(embedded.RESTORER)).spec.crop_size
        assert after.shape == (size, size, 3), "the result has the size of the model"
        assert after.std() > 10


def test_both_samplers_keep_the_coarse_colors_of_the_picture(fresh: Server) -> None:
    """The embedded model's noise does not hide the picture, so that both samplers start from it (`starts_from_noise`).

    From noise alone, the coarse colors differed by 12 gray levels.
    """
    coarse: list[np.ndarray] = []
    for number in ("01", "02"):
        api = api_of(numbered(number))
        for node in api.values():
            if "steps" in node["inputs"]:
                node["inputs"]["steps"] = 8
        end = next(node for node, content in api.items() if content["class_type"] == "SaveImage")
        restored = Image.fromarray(fresh.picture(fresh.run(api)[end]["images"][0]))
        coarse.append(np.array(restored.resize((8, 8), Image.Resampling.BOX)).astype(int))
    with Image.open(fresh.base / "input" / "face.png") as face:
        before = np.array(face.convert("RGB").resize((8, 8), Image.Resampling.BOX)).astype(int)
    for after in coarse:
        assert np.abs(after - before).mean() < 5


@pytest.mark.parametrize("number", ["02", "05", "06"])
def test_more_workflows_run_with_the_embedded_models(fresh: Server, number: str) -> None:
    """These are KSampler, the group photo and the video. Workflow 03 has two parts; 08 needs models of ComfyUI."""
    api = api_of(numbered(number))
    for node in api.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 2
    fresh.run(api)
    written = {path.suffix for path in (fresh.base / "output").rglob("*") if path.is_file()}
    assert (".mp4" if number == "06" else ".png") in written
