"""Without facexlib, insightface, onnxruntime and OpenCV the pack still works, and loaders say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .comfy import PromptError, Server, make_base, python_of, running
from .faces import FaceGraph, face_change, photo, save_networks, save_picture, save_retinaface
from .graphs import Link

HIDDEN = ("facexlib", "insightface", "onnxruntime", "onnx", "cv2")
PICTURE = photo([0, None])
LANDMARKS = "72 77 120 77 96 101 79 125 115 123"


@pytest.fixture(scope="module")
def bare_server(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has the weight files, but cannot import the packages that they need."""
    base = make_base(tmp_path_factory.mktemp(f"{host.name}-bare") / "base")
    hider = base / "custom_nodes" / "a_hider"
    hider.mkdir()
    code = f"import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\nNODE_CLASS_MAPPINGS = {{}}\n"
    (hider / "__init__.py").write_text(code, encoding="utf-8")
    models = base / "models" / "refldm"
    (models / "tiny.safetensors").symlink_to(model_files / "tiny.safetensors")
    save_networks(models)
    save_retinaface(models)
    save_picture(PICTURE, base / "input" / "one.png")
    with running(host, base) as server:
        yield server


def loader_graph(loader: str, **inputs: str) -> FaceGraph:
    """Return a graph that runs a loader node, and Detect Faces or Face Similarity with its output."""
    graph = FaceGraph()
    image = graph.image("one.png")
    network = graph.add(loader, **inputs)[0]
    if loader == "ReFLDM_LoadFaceDetector":
        graph.add("PreviewImage", images=graph.detect(image, network)[1])
    else:
        similarity = graph.add("ReFLDM_FaceSimilarity", image_a=image, image_b=image, face_recognizer=network)
        graph.add("PreviewImage", images=similarity[2])
    return graph


def test_pack_loads_without_optional_packages(bare_server: Server) -> None:
    assert "IMPORT FAILED" not in bare_server.log
    nodes = [name for name in bare_server.get("/object_info") if name.startswith("ReFLDM_")]
    assert {"ReFLDM_LoadFaceDetector", "ReFLDM_DetectFaces", "ReFLDM_Sampler", "ReFLDM_PasteFaces"} <= set(nodes)


def test_typed_landmarks_restore_a_face(bare_server: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    faces = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=LANDMARKS, crop_size=128)
    model = graph.load_model()
    restored = graph.sampler(model[0], model[1], faces[1], steps=2)[0]
    pasted = graph.paste(image, faces[0], restored)
    graph.add("PreviewImage", images=Link(pasted.number, 0))
    (after,) = bare_server.pictures(graph.api)
    assert after.shape == PICTURE.shape
    assert face_change(PICTURE, after, 0) > 1
    assert (after[:, 400:] == PICTURE[:, 400:]).all(), "nothing changes far from the face"


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
def test_loader_error_names_the_install_command_of_this_python(
    bare_server: Server, host: Path, loader: str, inputs: dict[str, str], package: str
) -> None:
    with pytest.raises(PromptError, match=f"{package} cannot be imported") as failure:
        bare_server.run(loader_graph(loader, **inputs).api)
    assert f'"{python_of(host)}" -m pip install' in str(failure.value)
    assert package in str(failure.value).partition("Remedy:")[2]
