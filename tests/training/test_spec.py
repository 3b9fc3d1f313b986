"""Tests of reading a run's config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from refldm_core.training.config_file import as_yaml, read_spec
from refldm_core.training.spec import TrainSpec
from refldm_core.training.task import TrainingError


def read(tmp_path: Path, text: str, *changes: str) -> TrainSpec:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_spec(path, changes)


def test_defaults_are_the_published_values(tmp_path: Path) -> None:
    spec = read(tmp_path, "task: refldm\noutput: out")
    assert (spec.optimizer.learning_rate, spec.optimizer.warmup) == (5e-5, 10_000)
    assert (spec.run.ema, spec.run.steps) == (0.9999, 150_000)
    assert (spec.groups.targets, spec.groups.references, spec.groups.repeat, spec.groups.augment) == (1, 5, True, True)
    assert (spec.diffusion.drop.lq, spec.diffusion.drop.references, spec.diffusion.drop.none) == (0.1, 0.1, 0.0)
    identity = spec.diffusion.loss.identity
    assert (identity.weight, identity.scale, identity.share) == (0.1, "sqrt_alpha_bar", 1.0)


def test_the_complete_config_gives_the_same_spec(tmp_path: Path) -> None:
    text = (
        "task: ldm\noutput: out\noptimizer: {learning_rate: 1e-4, betas: [0.5, 0.9]}\ndiffusion: {scale_factor: auto}"
    )
    spec = read(tmp_path, text)
    assert spec.optimizer.learning_rate == 1e-4
    assert read(tmp_path, as_yaml(spec)) == spec
    assert yaml.safe_load(as_yaml(spec))["diffusion"]["unet"]["channel_mult"] == [1, 2, 2, 4]


def test_changes_from_the_command_line_take_precedence(tmp_path: Path) -> None:
    spec = read(tmp_path, "task: ldm\noutput: out\nrun: {steps: 5}", "run.steps=7", "diffusion.loss.kind=l1", "seed=3")
    assert (spec.run.steps, spec.diffusion.loss.kind, spec.seed) == (7, "l1", 3)


@pytest.mark.parametrize(
    ("text", "change", "words"),
    [
        (
            "task: ldm\noutput: o\noptimizer: {learnign_rate: 1}",
            "",
            ["optimizer.learnign_rate", "did you mean learning_rate?"],
        ),
        ("task: ldm\noutput: o\nrnu: {}", "", ["rnu", "did you mean run?"]),
        ("task: ldm\noutput: o\nrun: {xyzzy: 1}", "", ["run.xyzzy", "known here: steps, batch"]),
        ("task: ldm\noutput: o", "diffusion.loss.identity.scael=none", ["did you mean scale?"]),
        ("task: ldm\noutput: o\nrun: {steps: many}", "", ["run.steps is 'many'", "a whole number"]),
        ("task: ldm\noutput: o\nrun: {steps: 1.5}", "", ["run.steps is 1.5"]),
        ("task: ldm\noutput: o\nrun: {cpu: 1}", "", ["run.cpu is 1", "true or false"]),
        ("task: ldm\noutput: o\noptimizer: {betas: [0.9]}", "", ["optimizer.betas", "a list of 2"]),
        ("task: dance\noutput: o", "", ["task is 'dance'", "first_stage, ldm, refldm"]),
        ("task: ldm", "", ["does not say its output"]),
        ("- 1", "", ["a section of keys and values"]),
        ("task: [", "", ["cannot be read"]),
        ("task: ldm\noutput: o\nrun: 3", "", ["run is 3", "a section"]),
        ("task: ldm\noutput: o", "steps", ["no change of the config"]),
        ("task: ldm\noutput: o\ndiffusion: {scale_factor: big}", "", ["diffusion.scale_factor is 'big'"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, change: str, words: list[str]) -> None:
    with pytest.raises(TrainingError) as error:
        read(tmp_path, text, *([change] if change else []))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothere"):
        read_spec(tmp_path / "nothere.yaml")


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("diffusion: {noise: {linear_end: 1.0}}", "", r"config\.yaml: diffusion\.noise\.linear_end is 1\.0"),
        ("diffusion: {noise: {timesteps: 2000000000}}", "", r"diffusion\.noise\.timesteps is 2000000000"),
        ("diffusion: {unet: {num_head_channels: 0}}", "", r"diffusion\.unet\.num_head_channels is 0"),
        ("", "diffusion.noise={linear_start: .nan}", r"diffusion\.noise\.linear_start is nan"),
        ("", "seed=[", r"seed cannot be set to '\['"),
        ("", "seed=2024-13-45", "seed cannot be set to"),
        ("optimizer: {learning_rate: .inf}", "", r"optimizer\.learning_rate is inf"),
        ("optimizer: {learning_rate: .nan}", "", r"optimizer\.learning_rate is nan"),
        ("", "optimizer.betas=[0.9, .inf]", r"optimizer\.betas is inf"),
        ("optimizer: {learning_rate: 1e999}", "", r"optimizer\.learning_rate is '1e999'"),
        ("optimizer: {learning_rate: 2024-01-02}", "", r"optimizer\.learning_rate is a date"),
        ("diffusion: {unet: {channel_mult: 5}}", "", r"diffusion\.unet\.channel_mult is 5"),
        ("diffusion: x", "", "diffusion is 'x'"),
        ("seed: " + "9" * 5000, "", "cannot be read .a number has more than 100 characters"),
        ("run: [[[x]]]", "", "run is a list"),
        ("a: " + "[" * 1000, "", "nested more than 32 deep"),
    ],
)
def test_invalid_values_are_refused(text: str, change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        read(tmp_path, f"task: ldm\noutput: out\n{text}", *([change] if change else []))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "value",
    [
        *("run.save_every=0", "run.save_every=-1", "run.sample_every=-1", "run.workers=-1", "run.accumulate=0"),
        *("run.batch=0", "run.batch=9223372036854775808", "run.steps=-1", "run.ema=1.5", "run.ema=-0.1"),
        *("optimizer.learning_rate=-1", "optimizer.learning_rate=1e308", "optimizer.warmup=-1", "optimizer.final=2"),
        *("optimizer.weight_decay=-1", "optimizer.clip=-1", "seed=9223372036854775808", "corpus.size=0"),
        *("corpus.first_person=-1", "corpus.people=-1", "groups.targets=0", "groups.references=-1", "groups.severe=2"),
        *("groups.variants=-1", "diffusion.drop.lq=1.5", "diffusion.loss.face_weight=-1", "first_stage.crop=-1"),
        *("diffusion.loss.identity.share=2", "first_stage.loss.discriminator_width=0", "recognizer.temperature=0"),
        *("recognizer.pictures=0", "detector.size=0", "detector.most_faces=-1", "first_stage.loss.quantize_from=-1"),
    ],
)
def test_numbers_out_of_range_are_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        read(tmp_path, "task: ldm\noutput: out", value)
    assert value.partition("=")[0] in caught.value.problem and "number from" in caught.value.expected


def test_momentum_of_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"optimizer\.betas"):
        read(tmp_path, "task: ldm\noutput: out", "optimizer.betas=[0.9, 1.0]")


@pytest.mark.parametrize("name", ["\x85", "a\u2028b", "\ufeff", "Zoë", "a: b", "- x", "2024-01-01", "line\nbreak"])
def test_every_name_survives_writing(name: str, tmp_path: Path) -> None:
    spec = TrainSpec("ldm", name)
    assert read(tmp_path, as_yaml(spec)) == spec
