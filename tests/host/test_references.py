"""Save and load the references of people in a running host. Also errors for missing models and invalid images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import PromptError, Server, running
from .content import lora_weights
from .graphs import REFERENCES, Graph, Link
from .oracle import assert_same, restore, with_lora

Pictures = dict[str, Tensor]

SHORT = SamplingSettings(steps=10)


def saving_graph(name: str, *, photos: tuple[str, ...] = REFERENCES, overwrite: bool = False) -> Graph:
    """Return a graph that saves the references of these photos under a name."""
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], *photos)
    graph.add("ReFLDM_SaveReferences", references=references, name=name, overwrite=overwrite)
    return graph


def reusing_graph(name: str, checkpoint: str = "tiny.safetensors", lora: float = 0.0, dtype: str = "float32") -> Graph:
    """Return a graph that restores face.png with saved references, with a LoRA of some strength on the model."""
    graph = Graph()
    model = graph.load_model(checkpoint, dtype)
    sampled_model: Link = model[0]
    if lora:
        loader = graph.add("LoraLoaderModelOnly", model=model[0], lora_name="lora.safetensors", strength_model=lora)
        sampled_model = loader[0]
    loaded = graph.add("ReFLDM_LoadReferences", name=name)
    graph.save(graph.sampler(sampled_model, model[1], graph.image("face.png"), loaded[0], steps=10)[0])
    return graph


def people_folder(base: Path) -> Path:
    return base / "models" / "refldm_references"


def test_saved_file_holds_keys_values_thumbnails_and_metadata(server: Server, base: Path) -> None:
    server.run(saving_graph("anna").api)
    path = people_folder(base) / "anna.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["refldm.references"])
    assert metadata["count"] == 3
    assert metadata["names"] == ["anna 1", "anna 2", "anna 3"]
    assert len(metadata["fingerprint"]) == 16
    assert tensors["thumbnails"].shape == (3, 3, 128, 128), "160 pixels, but never more than the crop"
    assert {tensor.dtype for name, tensor in tensors.items() if name.endswith((".k", ".v"))} == {torch.float16}


def test_saved_references_restore_like_the_photos(server: Server, core: Restorer, pictures: Pictures) -> None:
    """The random network magnifies the rounding to 16 bits. Wrong references would change nearly every pixel."""
    server.run(saving_graph("anna").api)
    restored = server.pictures(reusing_graph("anna.safetensors").api)[0].astype(int)
    expected = restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], SHORT)
    assert (abs(restored - expected) <= 8).mean() > 0.9
    unreferenced = restore(core, pictures["face.png"], (), SHORT)
    assert (abs(restored - unreferenced) <= 8).mean() < 0.5


def test_lora_rebuilds_saved_references(server: Server, core: Restorer, pictures: Pictures) -> None:
    """The latents in the file give the exact keys and values with the LoRA. The saved ones would be stale."""
    server.run(saving_graph("anna").api)
    server.probe()
    restored = server.pictures(reusing_graph("anna.safetensors", lora=0.8).api)[0]
    assert server.probe()["references"] == 1
    photos = [pictures[name] for name in REFERENCES]
    assert_same(restored, restore(with_lora(core, lora_weights(), 0.8), pictures["face.png"], photos, SHORT))


def test_references_of_another_model_are_refused(server: Server) -> None:
    server.run(saving_graph("anna").api)
    with pytest.raises(PromptError, match=r"(?s)were built with model \w{16}, not with model \w{16}.*build the ref"):
        server.run(reusing_graph("anna.safetensors", checkpoint="raw.safetensors").api)


def test_existing_file_is_overwritten_only_on_request(server: Server, base: Path) -> None:
    server.run(saving_graph("bert").api)
    path = people_folder(base) / "bert.safetensors"
    before = path.read_bytes()
    with pytest.raises(PromptError, match="exists already, with other references"):
        server.run(saving_graph("bert", photos=REFERENCES[:1]).api)
    assert path.read_bytes() == before
    with pytest.raises(PromptError, match=r"bert\.safetensors exists already, with other references"):
        server.run(saving_graph("BERT", photos=REFERENCES[:1]).api)
    server.run(saving_graph("Bert", photos=REFERENCES[:1], overwrite=True).api)
    assert path.read_bytes() != before
    assert [file.name for file in people_folder(base).iterdir() if file.stem.lower() == "bert"] == ["bert.safetensors"]


def test_pictures_can_be_left_out(server: Server, base: Path) -> None:
    """A file with pictures is not equal to one without, so neither silently replaces the other."""
    path = people_folder(base) / "dora.safetensors"
    server.run(saving_graph("dora").api)
    assert {"thumbnails", "latents"} <= set(load_file(path))
    private = saving_graph("dora")
    node = next(n for n in private.api.values() if n["class_type"] == "ReFLDM_SaveReferences")
    node["inputs"]["pictures"] = False
    with pytest.raises(PromptError, match="exists already, with pictures"):
        server.run(private.api)
    node["inputs"]["overwrite"] = True
    server.run(private.api)
    assert all(name.endswith((".k", ".v")) for name in load_file(path))
    assert server.pictures(reusing_graph("dora.safetensors").api)
    with pytest.raises(PromptError, match="exists already, with references without pictures"):
        server.run(saving_graph("dora").api)


INVALID_IMAGES = {
    "empty": "There are no reference photos: the batch is empty",
    "gray": "images has 1 channel",
    "two channels": "images has 2 channels",
    "uint8": "images has values of the type uint8",
    "NaN": r"images has values that are not finite \(NaN or infinity\), in picture 1 of 1",
    "infinity": "images has values that are not finite",
    "array": "images is a ndarray",
    "nothing": "images is nothing",
}


@pytest.mark.parametrize("kind", INVALID_IMAGES)
def test_invalid_images_are_explained(server: Server, kind: str) -> None:
    graph = Graph()
    model = graph.load_model()
    images = graph.add("RefldmProbeOddImage", kind=kind)
    encoded = graph.add("ReFLDM_EncodeReferences", model=model[0], vae=model[1], images=images[0], encoding="joint")
    graph.add("ReFLDM_SaveReferences", references=encoded[0], name=f"odd {kind}", overwrite=True)
    with pytest.raises(PromptError, match=rf"(?s){INVALID_IMAGES[kind]}.*Expected: .*Remedy: "):
        server.run(graph.api)


def test_hidden_files_are_not_listed_as_people(server: Server, base: Path) -> None:
    """macOS and killed processes leave such files."""
    server.run(saving_graph("emil").api)
    content = (people_folder(base) / "emil.safetensors").read_bytes()
    for name in ("._emil.safetensors", ".0123456789ab.part.safetensors"):
        (people_folder(base) / name).write_bytes(content)
        with pytest.raises(PromptError, match="There are no saved references"):
            server.run(reusing_graph(name).api)
    kind, options = server.get("/object_info/ReFLDM_LoadReferences")["ReFLDM_LoadReferences"]["input"]["required"][
        "name"
    ]
    names = options["options"] if kind == "COMBO" else kind
    assert "emil.safetensors" in names and not [name for name in names if name.startswith(".")]


@pytest.mark.parametrize(
    "name", ["../x", "..", "/x", "a/b", r"a\b", "C:x", "CON", "nul.txt", "com1", " ", "a\0b", ".x"]
)
def test_names_cannot_leave_the_folder(server: Server, base: Path, name: str) -> None:
    before = sorted(path for path in base.rglob("*.safetensors") if "custom_nodes" not in path.parts)
    with pytest.raises(PromptError, match="cannot be the name of a file"):
        server.run(saving_graph(name).api)
    after = sorted(path for path in base.rglob("*.safetensors") if "custom_nodes" not in path.parts)
    assert after == before


@pytest.mark.parametrize("name", ["../refldm/tiny.safetensors", "/etc/passwd", "nobody.safetensors"])
def test_loading_stays_in_the_folder(server: Server, name: str) -> None:
    with pytest.raises(PromptError, match="There are no saved references"):
        server.run(reusing_graph(name).api)


@pytest.mark.parametrize("name", ["refldm_not_there.ckpt", "../loras/lora.safetensors"])
def test_missing_model_is_explained(server: Server, base: Path, name: str) -> None:
    graph = Graph()
    model = graph.load_model(name)
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), steps=4)[0])
    with pytest.raises(PromptError) as failure:
        server.run(graph.api)
    message = str(failure.value)
    folder = base / "models" / "refldm"
    for part in (
        name,
        str(folder),
        "refldm.ckpt",
        "vqgan.ckpt",
        f'refldm download --folder "{folder}"',
        "NON-COMMERCIAL",
    ):
        assert part in message, message


def test_restart_keeps_people_and_applies_flags(  # noqa: PLR0917
    server: Server, host: Path, base: Path, core: Restorer, pictures: Pictures, tmp_path: Path
) -> None:
    """Saved people are still there. Flags choose the dtype, and add a folder for models."""
    server.run(saving_graph("anna").api)
    extra_folder = tmp_path / "elsewhere" / "faces"
    extra_folder.mkdir(parents=True)
    (extra_folder / "moved.safetensors").symlink_to((base / "models" / "refldm" / "tiny.safetensors").resolve())
    (extra_folder / "notes.txt").write_text("no model", encoding="utf-8")
    config = tmp_path / "paths.yaml"
    config.write_text(f"elsewhere:\n  base_path: {tmp_path / 'elsewhere'}\n  refldm: faces\n", encoding="utf-8")
    flags = ["--bf16-unet", "--bf16-vae", "--extra-model-paths-config", str(config)]
    with running(host, base, *flags) as restarted:
        inputs = restarted.get("/object_info/ReFLDM_LoadModel")["ReFLDM_LoadModel"]["input"]["required"]
        kind, options = inputs["checkpoint"]
        names = options["options"] if kind == "COMBO" else kind
        assert {"moved.safetensors", "tiny.safetensors"} <= set(names)
        assert "notes.txt" not in names
        graph = reusing_graph("anna.safetensors", "moved.safetensors", dtype="auto")
        restored = restarted.pictures(graph.api)[0].astype(int)
        assert "model weight dtype torch.bfloat16" in restarted.log
        assert "dtype: torch.bfloat16" in restarted.log
        expected = restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES], SHORT)
        assert (abs(restored - expected) <= 40).mean() > 0.6


def test_joint_encoding_never_falls_back_to_tiles(server: Server) -> None:
    """The model was not trained on latents of tiles. The error recommends separate encoding instead."""
    joint = saving_graph("tiles joint")
    separate = saving_graph("tiles separate")
    node = next(n for n in separate.api.values() if n["class_type"] == "ReFLDM_EncodeReferences")
    node["inputs"]["encoding"] = "separate"
    server.free()
    server.get("/refldm_probe?widest=200")
    try:
        with pytest.raises(PromptError, match=r"(?s)not enough to encode 3 references jointly.*encoding to separate"):
            server.run(joint.api)
        server.run(separate.api)
    finally:
        server.get("/refldm_probe?widest=0")
    server.run(joint.api)
