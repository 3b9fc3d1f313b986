from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

from refldm_core import embedded
from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.checkpoints.saving import convert
from refldm_core.checkpoints.training_data import RENDERED_PEOPLE, TRAINED_ON_KEY, caution
from refldm_core.cli.main import main

from ..embedded import needs_embedded
from ..weights import TinyFiles

RENDERED = {TRAINED_ON_KEY: RENDERED_PEOPLE}


@pytest.mark.parametrize(
    ("metadata", "beginning"),
    [
        ({"model": RENDERED}, "The model was trained on rendered people only: "),
        ({"model": {}, "detector": RENDERED}, "The detector was trained on rendered people only: "),
        (
            {"model": RENDERED, "detector": RENDERED, "recognizer": RENDERED},
            "The model, the detector and the recognizer were trained on rendered people only: ",
        ),
        (
            {"model": RENDERED, "detector": {TRAINED_ON_KEY: "cats"}},
            "The model and the detector were trained on rendered people and cats only: ",
        ),
    ],
)
def test_the_caution_names_models_and_kinds_of_pictures(metadata: dict[str, dict[str, str]], beginning: str) -> None:
    assert caution(metadata).startswith(beginning)


def test_models_for_photos_need_no_caution() -> None:
    assert caution({"model": {"refldm.weights": "ema"}, "detector": {}}) == ""


@needs_embedded
def test_every_embedded_model_states_its_training_data() -> None:
    assert load_model(embedded.RESTORER).metadata[TRAINED_ON_KEY]
    assert load_detector("embedded", embedded.FOLDER).network.metadata[TRAINED_ON_KEY]
    assert load_recognizer(embedded.RECOGNIZER).metadata[TRAINED_ON_KEY]


def test_a_conversion_keeps_the_training_data(
    tiny: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def trained_on(path: Path) -> str | None:
        with safe_open(path, "pt") as file:
            return file.metadata().get(TRAINED_ON_KEY)

    unmarked, marked, copy = (tmp_path / f"{name}.safetensors" for name in ("unmarked", "marked", "copy"))
    convert(tiny.ckpt, unmarked, config=tiny.config)
    assert trained_on(unmarked) is None
    arguments = ["convert", str(unmarked), "--output", str(marked), "--trained-on", "cats"]
    assert main(arguments) == 0 and trained_on(marked) == "cats"
    convert(marked, copy)
    assert trained_on(copy) == "cats"
    assert main(["inspect", str(copy)]) == 0
    assert "trained on cats only" in capsys.readouterr().out
