"""`refldm synthesize`: training can read its dataset, and a second run completes an interrupted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.cli.main import main
from refldm_core.data.corpus import CorpusSpec, FolderCorpus
from refldm_core.data.rendered import RenderedDataset, render_dataset, render_scenes
from refldm_core.errors import SettingsError
from refldm_core.synthetic.conditions import conditions
from refldm_core.synthetic.dataset import DatasetSpec, SceneSetSpec, numbered_portrait, picture_seed
from refldm_core.synthetic.identity import person
from refldm_core.synthetic.portrait import portrait

SPEC = DatasetSpec(people=2, pictures=3, size=32)
ARGUMENTS = ["synthesize", "--people", "2", "--pictures", "3", "--size", "32"]


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    assert sum(render_dataset(folder, SPEC)) == 6
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_reads_the_dataset(dataset_folder: Path) -> None:
    dataset = RenderedDataset(dataset_folder)
    spec = CorpusSpec("folder", folder=str(dataset.images), references=str(dataset.references), size=32)
    corpus = FolderCorpus(spec)
    assert len(corpus.targets) == 6
    assert all(len(target.references) == 2 for target in corpus.targets)
    rendered = portrait(person(1), conditions(picture_seed(1, 2)), 32)
    np.testing.assert_array_equal(corpus.picture(5), rendered.picture)


def test_attributes_describe_the_pictures(dataset_folder: Path) -> None:
    lines = [
        json.loads(line) for line in RenderedDataset(dataset_folder).attributes.read_text(encoding="utf-8").splitlines()
    ]
    assert [line["image"] for line in lines] == sorted(p.name for p in RenderedDataset(dataset_folder).images.iterdir())
    rendered = portrait(person(1), conditions(picture_seed(1, 0)), 32)
    np.testing.assert_allclose(lines[3]["landmarks"], rendered.landmarks, atol=1e-3)
    assert lines[3]["glasses"] == (person(1).glasses is not None)
    assert lines[3]["person"] == 1


def test_a_killed_run_can_be_completed(dataset_folder: Path, tmp_path: Path) -> None:
    """A run with two processes is killed after its first picture. A second run gives the bytes of a complete run."""
    command = [sys.executable, "-m", "refldm_core", *ARGUMENTS, "--output", str(tmp_path), "--workers", "2", "--quiet"]
    # The run gets its own session, so that the signal also kills its worker processes.
    run = subprocess.Popen(command, start_new_session=True)
    images = RenderedDataset(tmp_path).images
    deadline = time.monotonic() + 120
    while not list(images.glob("[!.]*.png")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if hasattr(os, "killpg"):
        os.killpg(run.pid, 9)
    else:
        run.kill()
    run.wait()
    done = len(list(images.glob("[!.]*.png")))
    assert done >= 1
    assert sum(render_dataset(tmp_path, SPEC)) == 6 - done
    completed = {name: data for name, data in contents(tmp_path).items() if ".part" not in name}
    assert completed == contents(dataset_folder)


def test_more_people_are_added(dataset_folder: Path, tmp_path: Path) -> None:
    for name, data in contents(dataset_folder).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert sum(render_dataset(tmp_path, DatasetSpec(people=3, pictures=3, size=32))) == 3
    assert len(RenderedDataset(tmp_path).attributes.read_text(encoding="utf-8").splitlines()) == 9


def test_the_command_skips_finished_pictures(dataset_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--output", str(dataset_folder), "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rendered"], result["pictures"]) == (0, 6)
    assert Path(result["references"]).is_file()


def test_another_size_is_refused(dataset_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["synthesize", "--people", "2", "--pictures", "3", "--size", "48", "--output", str(dataset_folder)]
    assert main(arguments) == 2
    assert "32 pixels" in capsys.readouterr().err


def test_foreign_pictures_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "000000_000.png")
    assert main([*ARGUMENTS, "--output", str(tmp_path)]) == 2
    assert "000000_000.png" in capsys.readouterr().err


@pytest.mark.parametrize("numbers", [(0, 1, 64, 0), (1, 0, 64, 0), (1, 1, 16, 0), (1, 1, 64, -1)])
def test_numbers_without_meaning_are_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(SettingsError, match="make no dataset"):
        DatasetSpec(*numbers)


SCENES = SceneSetSpec(scenes=4, people=3, size=128, most_faces=2)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    assert sum(render_scenes(folder, SCENES)) == 4
    return folder


def test_records_describe_the_scenes(scenes: Path) -> None:
    dataset = RenderedDataset(scenes)
    records = [json.loads(line) for line in dataset.attributes.read_text(encoding="utf-8").splitlines()]
    assert [record["image"] for record in records] == SCENES.names()
    assert max(len(record["people"]) for record in records) in (1, 2)
    for record in records:
        with Image.open(dataset.images / record["image"]) as picture:
            assert picture.size == (128, 128)
        count = len(record["people"])
        assert len(record["landmarks"]) == len(record["boxes"]) == len(record["visible"]) == count
        assert set(record["people"]) <= {0, 1, 2}
        for box, points in zip(record["boxes"], record["landmarks"], strict=True):
            assert box[0] < min(x for x, _ in points) and max(x for x, _ in points) < box[2]
            assert box[1] < min(y for _, y in points) and max(y for _, y in points) < box[3]


def test_missing_scenes_are_rendered_again(scenes: Path, tmp_path: Path) -> None:
    for name, data in contents(scenes).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (RenderedDataset(tmp_path).images / SCENES.names()[1]).unlink()
    assert sum(render_scenes(tmp_path, SCENES)) == 1
    assert contents(tmp_path) == contents(scenes)


def test_the_command_renders_scenes(scenes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synthesize", "--people", "3", "--scenes", "4", "--size", "128", "--most-faces", "2"]
    assert main([*words, "--output", str(scenes), "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rendered"], result["pictures"], result["references"]) == (0, 4, None)


def test_numbered_portrait_equals_the_picture_in_the_dataset(dataset_folder: Path) -> None:
    with Image.open(RenderedDataset(dataset_folder).images / "000001_002.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), numbered_portrait(1, 2, 32).picture)


@pytest.mark.parametrize("numbers", [(0, 1, 128, 1, 0), (1, 0, 128, 1, 0), (1, 1, 64, 1, 0), (1, 1, 128, 21, 0)])
def test_scenes_without_meaning_are_refused(numbers: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(SettingsError, match="make no dataset"):
        SceneSetSpec(*numbers)
