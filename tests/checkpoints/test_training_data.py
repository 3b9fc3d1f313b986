from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

from refldm_core import embedded
from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.checkpoints.saving import convert
from refldm_core.checkpoints.training_data import DRAWN_PEOPLE, TRAINED_ON_KEY, caution
from refldm_core.cli.main import main

from ..embedded import needs_embedded
from ..weights import TinyFiles

DRAWN = {TRAINED_ON_KEY: DRAWN_PEOPLE}


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"model": DRAWN}, "The model was trained on drawn people only: "),
        ({"model": {}, "detector": DRAWN}, "The detector was trained on drawn people only: "),
        (
            {"model": DRAWN, "detector": DRAWN, "recognizer": DRAWN},
            "The model, the detector and the recognizer were trained on drawn people only: ",
        ),
        (
            {"model": DRAWN, "detector": {TRAINED_ON_KEY: "cats"}},
            "The model and the detector were trained on drawn people and cats only: ",
        ),
    ],
)
def test_caution(metadata: dict[str, dict[str, str]], says: str) -> None:
    assert caution(metadata).startswith(says)


def test_nothing_is_said_of_models_for_photos() -> None:
    assert caution({"model": {"refldm.weights": "ema"}, "detector": {}}) == ""


@needs_embedded
def test_every_embedded_model_says_what_it_was_trained_on() -> None:
    assert load_model(embedded.RESTORER).metadata[TRAINED_ON_KEY]
    assert load_detector("embedded", embedded.FOLDER).network.metadata[TRAINED_ON_KEY]
    assert load_recognizer(embedded.RECOGNIZER).metadata[TRAINED_ON_KEY]


def test_a_conversion_says_it_on(tiny: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stated(path: Path) -> str | None:
        with safe_open(path, "pt") as file:
            return file.metadata().get(TRAINED_ON_KEY)

    plain, marked, again = (tmp_path / f"{name}.safetensors" for name in ("plain", "marked", "again"))
    convert(tiny.ckpt, plain, config=tiny.config)
    assert stated(plain) is None
    words = ["convert", str(plain), "--output", str(marked), "--trained-on", "cats"]
    assert main(words) == 0 and stated(marked) == "cats"
    convert(marked, again)
    assert stated(again) == "cats"
    assert main(["inspect", str(again)]) == 0
    assert "trained on cats only" in capsys.readouterr().out
