"""The registry's archive, unpacked into a ComfyUI with nothing in its model folders: workflows on drawn people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.demo.story import draw_story, workflow_inputs
from tests.embedded import needs_embedded
from tests.packaging.archive import unpack_archive

from .comfy import Server, make_base, running
from .faces import require_packages
from .test_workflows import NODES, api_of, numbered

pytestmark = needs_embedded


@pytest.fixture(scope="module")
def fresh(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ComfyUI with the registry's archive, the pictures that `refldm demo` draws, and no model."""
    require_packages(host)
    folder = tmp_path_factory.mktemp(f"{host.name}-fresh")
    base = make_base(folder / "base", unpack_archive(folder / "archive"))
    for name, picture in workflow_inputs(draw_story(1), 1).items():
        Image.fromarray(picture).save(base / "input" / name)
    with running(host, base) as server:
        yield server


def test_the_archive_loads(fresh: Server) -> None:
    assert "IMPORT FAILED" not in fresh.log
    assert {f"ReFLDM_{name}" for name in NODES} <= set(fresh.get("/object_info"))


def test_embedded_is_the_first_choice(fresh: Server) -> None:
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
def test_a_workflow_runs(fresh: Server, number: str) -> None:
    """A portrait, and a face in a photo; but for the number of steps as shipped."""
    api = api_of(numbered(number))
    for node in api.values():
        if node["class_type"] == "ReFLDM_Sampler":
            node["inputs"]["steps"] = 4
    before = np.array(Image.open(fresh.base / "input" / ("photo.png" if number == "04" else "face.png")))
    outputs = fresh.run(api)
    end = next(node for node, content in api.items() if content["class_type"] == "SaveImage")
    after = fresh.picture(outputs[end]["images"][0])
    warned = [line for line in fresh.log.splitlines() if "trained on drawn people only" in line]
    assert any("The model was" in line for line in warned) and "choose refldm.ckpt" in warned[0]
    if number == "04":
        assert any("The detector was" in line for line in warned)
        assert after.shape == before.shape
        assert 1 < np.abs(after.astype(int) - before).mean() < 60
        assert (after[:2] == before[:2]).all(), "outside the face, to the last bit"
    else:
        assert after.shape == (96, 96, 3), "of the model's own size"
        assert after.std() > 10
