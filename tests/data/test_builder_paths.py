"""Tests of the builder's names and paths: none leads out of the dataset, and no two pictures share a file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from refldm_core.data import builder, degraded
from refldm_core.data.builder import BuildSettings, build_dataset
from refldm_core.data.splits import SplitSettings
from refldm_core.errors import UnsafePathError
from refldm_core.files import folded

from .builds import SETTINGS, contents, table
from .photos import ByColor, color_reader, flat, photos_in, write_flat


@pytest.mark.parametrize("kind", ["absolute", "up", "link", "linked folder"])
def test_nothing_outside_the_dataset_is_deleted(kind: str, tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    folder, victim = tmp_path / "out/test_images/severe_degrad", tmp_path / "mine/precious.png"
    victim.parent.mkdir()
    victim.write_bytes(b"precious")
    names = {"absolute": str(victim), "up": "../../../mine/precious.png", "link": "sub/precious.png"}
    name = names.get(kind, victim.name)
    if kind == "link":
        (folder / "sub").symlink_to(victim.parent, target_is_directory=True)
    rows = (folder / degraded.TABLE).read_text(encoding="utf-8")
    if kind == "linked folder":
        for path in folder.iterdir():
            path.rename(victim.parent / path.name)
        folder.rmdir()
        folder.symlink_to(victim.parent, target_is_directory=True)
    (folder / degraded.TABLE).write_text(f"{rows}{name},severe,1,1,1,1,80\n", encoding="utf-8")
    before = contents(tmp_path / "out")
    with pytest.raises(UnsafePathError, match="cannot be used"):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), SETTINGS)
    assert victim.read_bytes() == b"precious"
    assert contents(tmp_path / "out") == before


def test_records_that_name_files_outside_the_dataset_are_refused(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    with closing(sqlite3.connect(tmp_path / "out" / builder.STATE)) as database, database:
        database.execute("UPDATE photos SET crop = '../../photos/' || crop")
    before = contents(tmp_path)
    with pytest.raises(UnsafePathError, match=r"build\.sqlite names '\.\./\.\./photos/"):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), SETTINGS)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_crops_have_names_that_windows_allows(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for which, name in enumerate(("a:1.png", "a\\1.png", "a_1.png")):
        flat(0, which).save(folder / name)
    for _ in range(2):  # the second build finds the crops of the first
        build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()))
    images = {row["image"] for row in table(tmp_path / "out/people.csv")}
    assert len(images) == 3 and not any(set(name) & set(":\\") for name in images)
    assert {path.name for path in (tmp_path / "out/images").iterdir()} == images


def test_photos_with_the_same_stem_get_different_crops(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for which, name in enumerate(("a.png", "a.bmp", "A.tif")):
        flat(0, which).save(folder / name)
    build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()))
    images = [row["image"] for row in table(tmp_path / "out/people.csv")]
    assert len({name.lower() for name in images}) == 3
    assert all((tmp_path / "out/images" / name).is_file() for name in images)


def test_crops_have_names_that_no_file_system_confuses(tmp_path: Path) -> None:
    """Linux allows names side by side that differ only in case, or in the composition of their accents."""
    files = iter(write_flat(tmp_path / "photos").values())
    names = ["A.JPG", "A.jpg", "a.jpg", "a.png", "\xe9.png", "e\u0301.png", "B/a.png", "b/A.png", "b/a.jpg.png"]
    photos = dict(zip(names, files, strict=False))
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), BuildSettings(SplitSettings(test=1)))
    crops = {row["image"] for row in table(tmp_path / "out/people.csv")}
    assert len(crops) == len({folded(crop) for crop in crops}) == len(names)
    assert {
        path.relative_to(tmp_path / "out/images").as_posix() for path in photos_in(tmp_path / "out/images").values()
    } == crops
