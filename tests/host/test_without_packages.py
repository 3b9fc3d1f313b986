"""A ComfyUI without facexlib, insightface, onnxruntime and OpenCV: the rest works, and loaders say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .comfy import PromptError, Server, make_base, python_of, running
from .faces import FaceGraph, changed, photo, save, save_networks, save_retinaface
from .graphs import Link

HIDDEN = ("facexlib", "insightface", "onnxruntime", "onnx", "cv2")
PICTURE = photo([0, None])
LANDMARKS = "72 77 120 77 96 101 79 125 115 123"


@pytest.fixture(scope="module")
def bare(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in which the packages cannot be imported, although there are weight files that need them."""
    base = make_base(tmp_path_factory.mktemp(f"{host.name}-bare") / "base")
    hider = base / "custom_nodes" / "a_hider"
    hider.mkdir()
    code = f"import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\nNODE_CLASS_MAPPINGS = {{}}\n"
    (hider / "__init__.py").write_text(code, encoding="utf-8")
    models = base / "models" / "refldm"
    (models / "tiny.safetensors").symlink_to(model_files / "tiny.safetensors")
    save_networks(models)
    save_retinaface(models)
    save(PICTURE, base / "input" / "one.png")
    with running(host, base) as server:
        yield server


def loading(loader: str, **inputs: str) -> FaceGraph:
    """A graph that runs a loader node, and Detect Faces or Face Similarity with it."""
    graph = FaceGraph()
    image = graph.image("one.png")
    network = graph.add(loader, **inputs)[0]
    if loader == "ReFLDM_LoadFaceDetector":
        graph.add("PreviewImage", images=graph.detect(image, network)[1])
    else:
        similarity = graph.add("ReFLDM_FaceSimilarity", image_a=image, image_b=image, face_recognizer=network)
        graph.add("PreviewImage", images=similarity[2])
    return graph


def test_the_pack_loads_with_all_nodes(bare: Server) -> None:
    assert "IMPORT FAILED" not in bare.log
    nodes = [name for name in bare.get("/object_info") if name.startswith("ReFLDM_")]
    assert {"ReFLDM_LoadFaceDetector", "ReFLDM_DetectFaces", "ReFLDM_Sampler", "ReFLDM_PasteFaces"} <= set(nodes)


def test_a_face_is_cut_restored_and_pasted_by_its_landmarks(bare: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    faces = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=LANDMARKS, crop_size=128)
    model = graph.load_model()
    restored = graph.sampler(model[0], model[1], faces[1], steps=2)[0]
    pasted = graph.paste(image, faces[0], restored)
    graph.add("PreviewImage", images=Link(pasted.number, 0))
    (after,) = bare.pictures(graph.api)
    assert after.shape == PICTURE.shape
    assert changed(PICTURE, after, 0) > 1
    assert (after[:, 400:] == PICTURE[:, 400:]).all(), "far from the face nothing changes"


@pytest.mark.parametrize(
    ("loader", "inputs", "package"),
    [
        ("ReFLDM_LoadFaceDetector", {"backend": "retinaface_mobile0.25"}, "facexlib"),
        ("ReFLDM_LoadFaceDetector", {"backend": "insightface"}, "onnxruntime"),
        ("ReFLDM_LoadFaceDetector", {"backend": "embedded"}, "facexlib"),
        ("ReFLDM_LoadFaceRecognizer", {"model": "buffalo_l"}, "onnxruntime"),
        ("ReFLDM_LoadFaceRecognizer", {"model": "embedded"}, "onnxruntime"),
    ],
)
def test_a_loader_names_the_command_for_this_python(
    bare: Server, host: Path, loader: str, inputs: dict[str, str], package: str
) -> None:
    with pytest.raises(PromptError, match=f"{package} cannot be imported") as refused:
        bare.run(loading(loader, **inputs).api)
    assert f'"{python_of(host)}" -m pip install' in str(refused.value)
    assert package in str(refused.value).partition("Remedy:")[2]
