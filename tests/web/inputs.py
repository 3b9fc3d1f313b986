"""Everything that the shipped workflows read."""

from __future__ import annotations

from pathlib import Path

from refldm_core.demo.inputs import write_workflow_inputs
from tests.host.mediapipe import save_mediapipe
from tests.host.test_saved_people import save_person


def save_inputs(host: Path, base: Path) -> None:
    """Write everything that the workflows read into a ComfyUI's folders.

    For MediaPipe, that is a network that finds one face at the same place of every picture.
    """
    if (host / "comfy_extras" / "mediapipe").is_dir():
        save_mediapipe(host, base / "models" / "detection", (320, 320))
    write_workflow_inputs(base / "input")
    for name in ("person", "Ben"):
        save_person(base / "models" / "refldm_references" / f"{name}.safetensors")
