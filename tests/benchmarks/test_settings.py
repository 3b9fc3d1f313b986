"""The benchmark of settings: parsing of a setting, a report by hand, and complete runs with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.settings.benchmark import describe, main
from benchmarks.settings.reference_tokens import VARIANTS
from benchmarks.settings.setting import Setting
from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.errors import SettingsError
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet
from refldm_core.pipeline import SamplingSettings
from refldm_core.presets import PRESETS
from tests.face.toys import save_arcface
from tests.test_likeness import SPEC


def test_settings_are_parsed() -> None:
    assert Setting.parse("ddim:50") == Setting("ddim:50", SamplingSettings(), torch.float32)
    text = "dpmpp_2m:10:1.2:200-800@bfloat16"
    sampling = SamplingSettings(10, "dpmpp_2m", guidance=1.2, guidance_interval=(200, 800))
    assert Setting.parse(text) == Setting(text, sampling, torch.bfloat16)
    text = "ddim:20,strength=0.5,references=2@float16"
    sampling = SamplingSettings(20, strength=0.5, reference_strength=2.0)
    assert Setting.parse(text) == Setting(text, sampling, torch.float16)
    text = "ddim:20,tokens=columns"
    assert Setting.parse(text) == Setting(text, SamplingSettings(20), torch.float32, "columns")
    for name, preset in PRESETS.items():
        assert Setting.parse(f"{name}@bfloat16").sampling == preset.settings


@pytest.mark.parametrize(
    "text", ["ddim", "euler:10", "ddim:ten", "ddim:10@int8", "ddim:10:1.5:5", "ddim:10,tokens=few"]
)
def test_unusable_settings_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"has no meaning|out of range"):
        Setting.parse(text)


def test_report_has_the_values_by_hand() -> None:
    def values(ids: float, levels: float) -> dict[str, float]:
        constants = {"psnr": 20.0, "sharpness": 0.5, "mean_levels": levels, "max_levels": 9.0, "seconds": 2.0}
        return {"ids": ids, **constants}

    people = {
        "ddim:50": {"1": values(0.5, 0.0), "2": values(0.7, 0.0)},
        "ddim:5": {"1": values(0.6, 1.0), "2": values(0.9, 3.0)},
    }
    *_, first, second = describe(people, "a machine").splitlines()
    assert first == "| `ddim:50` | 0.6000 |  | 20.00 | 0.50 |  | 2.00 |"
    assert second == "| `ddim:5` | 0.7500 | +0.1500 ± 0.0500 | 20.00 | 0.50 | 2.00, 9 | 2.00 |"


def test_fewer_tokens_change_nothing_where_the_replaced_ones_are_equal() -> None:
    # Keys and values are constant in each layer.
    torch.manual_seed(0)
    unet = UNet(SPEC.unet).eval()
    size = (SPEC.latent_size, SPEC.latent_size)
    layers: dict[str, KeyValue] = {}
    for name, (heads, tokens, channels) in unet.reference_shapes(size).items():
        k, v = torch.randn(2, heads, 1, channels).expand(-1, -1, 2 * tokens, -1)
        layers[name] = KeyValue(k, v)
    references = ReferenceKV(layers, 2, size, unet.fingerprint)
    x = torch.randn(1, SPEC.unet.in_channels, *size)
    with torch.no_grad():
        expected = unet(x, torch.tensor([500]), references)
        for name, variant in VARIANTS.items():
            fewer = variant(references)
            assert torch.allclose(unet(x, torch.tensor([500]), fewer), expected, atol=1e-5), name
            share = max(kv.tokens for kv in fewer.layers.values()) / max(kv.tokens for kv in layers.values())
            assert share == {"all": 1.0, "squares": 0.25}.get(name, 0.5)


def test_fewer_tokens_are_means_of_neighbors_and_of_references() -> None:
    heads, side, channels = 1, 2, 1
    values = torch.arange(8.0).reshape(heads, 2 * side * side, channels)  # two references of 2 x 2 tokens
    layers = {"fine": KeyValue(values, 10 * values), "coarse": KeyValue(values[:, :2], values[:, :2])}
    references = ReferenceKV(layers, 2, (side, side), "unsaved")

    def kept(name: str) -> list[float]:
        fewer = VARIANTS[name](references)
        assert fewer.layers["coarse"] is layers["coarse"]
        assert torch.equal(fewer.layers["fine"].v, 10 * fewer.layers["fine"].k)
        return fewer.layers["fine"].k.flatten().tolist()

    assert kept("checkerboard") == [0, 3, 4, 7]
    assert kept("columns") == [0.5, 2.5, 4.5, 6.5]
    assert kept("squares") == [1.5, 5.5]
    assert kept("references") == [2, 3, 4, 5]


@pytest.mark.parametrize("damage", ["moderate", "light", "invented"])
def test_damage_is_that_of_the_setting_that_keeps_the_picture(tmp_path: Path, cases: Path, damage: str) -> None:
    write_random_model(tmp_path / "m.safetensors", SPEC)
    save_arcface(tmp_path / "r.onnx")
    words = ["--model", str(tmp_path / "m.safetensors"), "--recognizer", str(tmp_path / "r.onnx"), "--people", "1"]
    words += ["--cases", str(cases), "--json", str(tmp_path / "s.json"), "--output", str(tmp_path / "s.md")]
    sharpness: dict[str, float] = {}
    for name in ("severe", damage):
        assert main([*words, "--settings", "ddim:1,strength=0", "--damage", name]) == 0
        (scores,) = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["people"].values()
        (values,) = scores.values()
        sharpness[name] = values["sharpness"]
    assert sharpness[damage] > sharpness["severe"]
    assert f"{damage} degradation" in (tmp_path / "s.md").read_text(encoding="utf-8") or damage == "invented"


def test_resumed_run_adds_people_and_keeps_scores(
    tmp_path: Path, cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_model(tmp_path / "m.safetensors", SPEC)
    save_arcface(tmp_path / "r.onnx")
    words = ["--model", str(tmp_path / "m.safetensors"), "--recognizer", str(tmp_path / "r.onnx"), "--batch", "2"]
    words += [
        "--cases",
        str(cases),
        "--settings",
        "ddim:4",
        "dpmpp_2m:2:1.5:0-500@bfloat16",
        "--json",
        str(tmp_path / "s.json"),
    ]
    assert main([*words, "--people", "2", "--output", str(tmp_path / "s.md")]) == 0
    before = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["people"]
    assert main([*words, "--people", "3", "--resume"]) == 0
    people = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["people"]
    assert {name: len(values_of) for name, values_of in people.items()} == {
        "ddim:4": 3,
        "dpmpp_2m:2:1.5:0-500@bfloat16": 3,
    }
    assert all(
        people[name][person] == values for name, values_of in before.items() for person, values in values_of.items()
    )
    assert all(values["max_levels"] == 0.0 for values in people["ddim:4"].values())
    assert all(values["max_levels"] > 0.0 for values in people["dpmpp_2m:2:1.5:0-500@bfloat16"].values())
    save_arcface(tmp_path / "r.onnx", seed=1)
    assert main([*words, "--people", "3", "--resume"]) == 2
    assert "not found under the same conditions" in capsys.readouterr().err
    assert main(["--report", str(tmp_path / "s.json")]) == 0
    assert capsys.readouterr().out.startswith("3 rendered people")
    (tmp_path / "s.json").write_text("{}", encoding="utf-8")
    assert main(["--report", str(tmp_path / "s.json")]) == 2
    assert "cannot be read as a file of scores" in capsys.readouterr().err
