"""Tests of builds into a folder with an earlier build: they continue it, and do nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.data import builder, degraded
from refldm_core.data.builder import BuildSettings, build_dataset
from refldm_core.data.corpus import read_references
from refldm_core.data.splits import SplitSettings

from .builds import SETTINGS, contents, table
from .photos import ByColor, color_reader, flat, photos_in, write_flat


@pytest.fixture
def uninterrupted(tmp_path: Path) -> tuple[dict[str, Path], dict[str, bytes]]:
    """Photos, and the files that an uninterrupted build makes of them."""
    photos = write_flat(tmp_path / "photos")
    flat(0, 0).save(tmp_path / "photos" / "copy.bmp")
    photos = photos_in(tmp_path / "photos")
    build_dataset(photos, tmp_path / "whole", color_reader(ByColor()), SETTINGS)
    return photos, contents(tmp_path / "whole")


@pytest.mark.parametrize("stop_at", [0, 1, 13])
def test_reading_continues_where_it_was_interrupted(
    uninterrupted: tuple[dict[str, Path], dict[str, bytes]], tmp_path: Path, stop_at: int
) -> None:
    photos, expected = uninterrupted
    first, second, third = ByColor(stop_at), ByColor(), ByColor()
    with pytest.raises(KeyboardInterrupt):
        build_dataset(photos, tmp_path / "out", color_reader(first), SETTINGS)
    build_dataset(photos, tmp_path / "out", color_reader(second), SETTINGS)
    assert contents(tmp_path / "out") == expected
    assert len(first.seen) == stop_at and len(second.seen) == 24 - stop_at
    assert not set(first.seen) & set(second.seen), "a photo was read twice"
    build_dataset(photos, tmp_path / "out", color_reader(third), SETTINGS)
    assert third.seen == [] and contents(tmp_path / "out") == expected


def test_later_steps_continue_where_they_were_interrupted(
    uninterrupted: tuple[dict[str, Path], dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, expected = uninterrupted
    settings = replace(SETTINGS, block=7)
    computed: list[int] = []
    real_grow, real_degrade = builder.grow, degraded.degrade_file
    done: list[str] = []

    def grow(graph: object, embeddings: object, block: int) -> Iterator[object]:
        for grown in real_grow(graph, embeddings, block):  # type: ignore[arg-type]
            if len(computed) == 2:
                raise KeyboardInterrupt
            computed.append(grown.rows)
            yield grown

    def degrade(source: Path, *more: object) -> object:
        if len(done) == 5:
            done.append("")
            raise KeyboardInterrupt
        done.append(source.name)
        return real_degrade(source, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(builder, "grow", grow)
    monkeypatch.setattr("refldm_core.data.build_output.degrade_file", degrade)
    with pytest.raises(KeyboardInterrupt):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor()), settings)
    assert computed == [7, 14]
    monkeypatch.setattr(builder, "grow", real_grow)
    with pytest.raises(KeyboardInterrupt):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), settings)
    build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), settings)
    assert contents(tmp_path / "out") == expected
    assert len([name for name in done if name]) == 16, "8 targets in two sets, none of them twice"


def test_known_faces_are_not_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    starts: list[int] = []
    real = builder.grow

    def grow(graph: object, embeddings: object, block: int) -> Iterator[object]:
        starts.append(graph.rows)  # type: ignore[attr-defined]
        return real(graph, embeddings, block)  # type: ignore[arg-type]

    monkeypatch.setattr(builder, "grow", grow)
    flat(2, 9).save(tmp_path / "photos" / "0_later.png")
    recognizer = ByColor()
    build_dataset(photos_in(tmp_path / "photos"), tmp_path / "out", color_reader(recognizer), SETTINGS)
    assert recognizer.seen == [(2, 9)] and starts == [24]
    assert any("0_later.png" in row["image"] for row in table(tmp_path / "out/people.csv"))


def test_new_photos_leave_people_in_their_splits(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos", people=4)
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    before = {row["image"]: row["split"] for row in table(tmp_path / "out/people.csv")}
    assert set(before.values()) == {"train", "val", "test"}
    photos = write_flat(tmp_path / "photos", people=10)
    report = build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    after = {row["image"]: row["split"] for row in table(tmp_path / "out/people.csv")}
    assert {name: after[name] for name in before} == before
    assert report.splits["train"].people == 7


def test_changed_and_removed_photos_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write_flat(folder)
    flat(1, 1).save(folder / "9_copy.png")
    build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()), SETTINGS)
    flat(1, 5).save(folder / "1_1.png")  # only the copy has the old pixels now
    (folder / "2_0.png").unlink()
    for which in range(1, 4):
        (folder / f"3_{which}.png").unlink()
    recognizer = ByColor()
    report = build_dataset(photos_in(folder), tmp_path / "out", color_reader(recognizer), SETTINGS)
    assert sorted(recognizer.seen) == [(1, 1), (1, 5)]
    assert list(report.gone) == ["2_0.png", "3_1.png", "3_2.png", "3_3.png"]
    assert list(report.alone) == ["3_0.png"]
    images = {row["image"] for row in table(tmp_path / "out/people.csv")}
    assert "9_copy.png" in images and "2_0.png" not in images
    assert (np.asarray(Image.open(tmp_path / "out/images/1_1.png"))[0, 0, 1]) == 100


def test_a_copied_folder_is_not_read_again(tmp_path: Path) -> None:
    write_flat(tmp_path / "photos")
    build_dataset(photos_in(tmp_path / "photos"), tmp_path / "out", color_reader(ByColor()), SETTINGS)
    before = contents(tmp_path / "out")
    (tmp_path / "moved").mkdir()
    for path in (tmp_path / "photos").iterdir():
        Image.open(path).save(tmp_path / "moved" / path.name, compress_level=1)
    recognizer = ByColor()
    build_dataset(photos_in(tmp_path / "moved"), tmp_path / "out", color_reader(recognizer), SETTINGS)
    assert recognizer.seen == [] and contents(tmp_path / "out") == before


def test_a_deleted_crop_is_written_again(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    before = contents(tmp_path / "out")
    (tmp_path / "out/images/1_2.png").unlink()
    recognizer = ByColor()
    build_dataset(photos, tmp_path / "out", color_reader(recognizer), SETTINGS)
    assert recognizer.seen == [(1, 2)]
    after = contents(tmp_path / "out")
    assert after == before


def test_pictures_of_former_test_targets_are_deleted(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    new_settings = BuildSettings(SplitSettings(test=1, seed=3))
    build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), new_settings)
    targets = [target for target, _ in read_references(tmp_path / "out/reference_mapping/test_references.csv")]
    assert len(targets) == 4
    folder = tmp_path / "out/test_images/severe_degrad"
    assert sorted(path.name for path in folder.glob("*.png")) == targets
    assert [row["file"] for row in table(folder / degraded.TABLE)] == targets
