"""The builder: known people are found again, splits share nobody, and nothing is lost, unnamed or done twice."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.data import builder, degraded, photo_store
from refldm_core.data.build_report import BuildReport
from refldm_core.data.builder import BuildSettings, build_dataset
from refldm_core.data.corpus import CorpusSpec, DataError, open_corpus, read_references
from refldm_core.data.degradation import RANGES, draw
from refldm_core.data.degradation import degrade as degrade_picture
from refldm_core.data.degraded import picture_seed
from refldm_core.data.distances import block_distances
from refldm_core.data.photo_reading import PhotoReader, ReadingSettings
from refldm_core.data.splits import SplitSettings
from refldm_core.data.synthetic import group, person
from refldm_core.errors import OutputError, SettingsError, UnsafePathError
from refldm_core.face.detection import DetectionSettings
from refldm_core.files import folded

from ..embedded import needs_embedded
from .photos import FIRST, PEOPLE, ByColor, color_reader, drawn, flat, photos_in, write_flat

EACH = 5
SETTINGS = BuildSettings(SplitSettings(test=2))


def embedded_reader(**settings: object) -> PhotoReader:
    return PhotoReader(
        load_recognizer(embedded.require(embedded.RECOGNIZER)),
        load_detector("embedded", Path(), DetectionSettings(turns=(0,))),
        ReadingSettings(crop_size=96, min_size=35.0, **settings),  # type: ignore[arg-type]
        ("embedded", "embedded"),
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """All that a build wrote but for what it knows of the photos."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != builder.STATE)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people, five photos each, in no order of people; and what real folders hold, too."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "more").mkdir()
    for which in range(EACH):
        for who in PEOPLE:
            Image.fromarray(drawn(who, which)).save(folder / ("more" if which % 2 else "") / f"{which}_{who:02}.png")
    whole = (folder / "0_00.png").read_bytes()
    (folder / "damaged.png").write_bytes(whole[: len(whole) // 2])
    Image.open(folder / "0_00.png").save(folder / "1_copy.bmp")
    brighter = np.asarray(Image.open(folder / "0_01.png")).astype(int) + 3
    Image.fromarray(brighter.clip(0, 255).astype(np.uint8)).save(folder / "2_brighter.png")
    Image.fromarray(drawn(14, 0)).save(folder / "alone.png")
    Image.fromarray(group([], 5, 112, 112).picture).save(folder / "nobody.png")
    two = [person(FIRST + 2), person(FIRST + 21)]
    Image.fromarray(group(two, 3, 220, 112).picture).save(folder / "two.png")
    Image.open(folder / "0_13.png").resize((56, 56)).save(folder / "tiny.png")
    return folder


@pytest.fixture(scope="module")
def built(album: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildReport]:
    output = tmp_path_factory.mktemp("built") / "dataset"
    return output, build_dataset(photos_in(album), output, embedded_reader(), SETTINGS)


@needs_embedded
def test_known_people_are_recovered(built: tuple[Path, BuildReport]) -> None:
    rows = [
        row for row in table(built[0] / "people.csv") if Path(row["image"]).stem[:2] in ("0_", "1_", "2_", "3_", "4_")
    ]
    rows = [row for row in rows if row["image"] != "2_brighter.png"]
    assert len(rows) == len(PEOPLE) * EACH
    truth = [int(row["image"][-6:-4]) for row in rows]
    assert adjusted_rand_score(truth, [int(row["person"]) for row in rows]) == 1.0


@needs_embedded
def test_no_person_in_two_splits(built: tuple[Path, BuildReport]) -> None:
    output, report = built
    people: dict[str, set[str]] = {}
    of: dict[str, str] = {}
    for row in table(output / "people.csv"):
        people.setdefault(row["person"], set()).add(row["split"])
        of[row["image"]] = row["person"]
    assert all(len(splits) == 1 for splits in people.values())
    assert {split: report.splits[split].people for split in ("val", "test")} == {"val": 1, "test": 2}
    lists = {
        s: (output / "id_based_split" / f"{s}_image.txt").read_text(encoding="utf-8").split()
        for s in ("train", "val", "test")
    }
    assert sorted(name for names in lists.values() for name in names) == sorted(of)
    seen: dict[str, set[str]] = {}
    for split, names in lists.items():
        rows = read_references(output / "reference_mapping" / f"{split}_references.csv")
        assert rows
        for target, references in rows:
            assert {of[name] for name in references} == {of[target]}
            assert {target, *references} <= set(names)
        seen[split] = {of[name] for name in names}
    assert not seen["train"] & seen["val"] and not seen["train"] & seen["test"] and not seen["val"] & seen["test"]


@needs_embedded
def test_test_pairs_and_their_order(built: tuple[Path, BuildReport]) -> None:
    """Against all distances, computed from the embeddings that the build kept."""
    output, _ = built
    store = photo_store.PhotoStore(output / builder.STATE, embedded_reader().described)
    crops = {record.name: record.crop for record in store.records() if record.crop}
    names, _, embeddings = store.embeddings(list(crops))
    store.close()
    place = {crops[name]: i for i, name in enumerate(names)}
    distances = block_distances(embeddings.astype(np.float64), embeddings.astype(np.float64))  # type: ignore[arg-type]
    rows = read_references(output / "reference_mapping" / "test_references.csv")
    for target, references in rows:
        own = [place[name] for name in references]
        allowed = {i for i, d in enumerate(distances[place[target]]) if 0.1 < d < 0.4}
        assert 2 <= len(own) <= 9 and set(own) <= allowed
        before = [place[target]]
        for i in own:
            left = allowed - set(before)
            gaps = {k: min(distances[k, j] for j in before) for k in left}
            assert gaps[i] == pytest.approx(max(gaps.values()), abs=1e-7)
            before.append(i)


@needs_embedded
def test_everything_that_is_wrong_is_named(built: tuple[Path, BuildReport]) -> None:
    output, _ = built
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    left_out = report["left_out"]
    assert list(left_out["unreadable"]) == ["damaged.png"] and "cannot be read" in left_out["unreadable"]["damaged.png"]
    assert left_out["same pixels"] == {"1_copy.bmp": "0_00.png"}
    assert list(left_out["no face"]) == ["nobody.png"]
    assert list(left_out["too small"]) == ["tiny.png"]
    assert "alone.png" in report["one_picture"]
    assert report["several_faces"] == {"two.png": 2}
    assert any({"0_01.png", "2_brighter.png"} <= set(one["pictures"]) for one in report["near_duplicates"])
    text = (output / "report.md").read_text(encoding="utf-8")
    for name in ("damaged.png", "1_copy.bmp", "nobody.png", "tiny.png", "alone.png", "two.png", "2_brighter.png"):
        assert f"`{name}`" in text, name
    assert report["photos"] == len(PEOPLE) * EACH + 7
    assert sum(report["distances"]["pairs"]) == report["faces"] * (report["faces"] - 1) // 2
    assert str(output.parent) not in text + json.dumps(report), "a report moves to other machines"


@needs_embedded
def test_training_takes_the_dataset(built: tuple[Path, BuildReport]) -> None:
    output, report = built
    for split in ("train", "val", "test"):
        references = str(output / "reference_mapping" / f"{split}_references.csv")
        corpus = open_corpus(CorpusSpec("folder", folder=str(output / "images"), references=references, size=96))
        assert len(corpus.targets) == len(report.splits[split].references)  # type: ignore[index]
        assert corpus.picture(corpus.targets[0].picture).shape == (96, 96, 3)


@needs_embedded
def test_photos_of_several_can_be_left_out(album: Path, tmp_path: Path) -> None:
    photos = {name: album / name for name in ("0_00.png", "more/1_00.png", "two.png")}
    report = build_dataset(photos, tmp_path / "out", embedded_reader(several="skip"))
    assert report.outcomes["several faces"] == {"two.png": "2 faces"}


def test_degraded_test_sets(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    targets = [target for target, _ in read_references(tmp_path / "out/reference_mapping/test_references.csv")]
    assert len(targets) == 8
    for kind in ("moderate", "severe"):
        folder = tmp_path / "out/test_images" / f"{kind}_degrad"
        assert sorted(path.name for path in folder.glob("*.png")) == targets
        for row in table(folder / degraded.TABLE):
            seed = picture_seed(row["file"], 2024)
            assert (row["kind"], row["seed"]) == (kind, str(seed))
            good = np.asarray(Image.open(tmp_path / "out/images" / row["file"]))
            expected = degrade_picture(good, draw(RANGES[kind], seed))  # type: ignore[index]
            assert (np.asarray(Image.open(folder / row["file"])) == expected).all()
    assert [row["lq_image"] for row in table(tmp_path / "out/reference_mapping/test_references.csv")] == targets


@pytest.fixture
def whole(tmp_path: Path) -> tuple[dict[str, Path], dict[str, bytes]]:
    """Photos, and what an uninterrupted build makes of them."""
    photos = write_flat(tmp_path / "photos")
    flat(0, 0).save(tmp_path / "photos" / "copy.bmp")
    photos = photos_in(tmp_path / "photos")
    build_dataset(photos, tmp_path / "whole", color_reader(ByColor()), SETTINGS)
    return photos, contents(tmp_path / "whole")


@pytest.mark.parametrize("stop_at", [0, 1, 13])
def test_reading_goes_on_where_it_was_interrupted(
    whole: tuple[dict[str, Path], dict[str, bytes]], tmp_path: Path, stop_at: int
) -> None:
    photos, expected = whole
    first, second, third = ByColor(stop_at), ByColor(), ByColor()
    with pytest.raises(KeyboardInterrupt):
        build_dataset(photos, tmp_path / "out", color_reader(first), SETTINGS)
    build_dataset(photos, tmp_path / "out", color_reader(second), SETTINGS)
    assert contents(tmp_path / "out") == expected
    assert len(first.seen) == stop_at and len(second.seen) == 24 - stop_at
    assert not set(first.seen) & set(second.seen), "a photo was read twice"
    build_dataset(photos, tmp_path / "out", color_reader(third), SETTINGS)
    assert third.seen == [] and contents(tmp_path / "out") == expected


def test_later_steps_go_on_where_they_were_interrupted(
    whole: tuple[dict[str, Path], dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, expected = whole
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
    assert len([name for name in done if name]) == 16, "8 targets in two sets, none twice"


def test_what_was_known_is_not_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_photos_that_change_or_go(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write_flat(folder)
    flat(1, 1).save(folder / "9_copy.png")
    build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()), SETTINGS)
    flat(1, 5).save(folder / "1_1.png")  # the copy is the only one with the old pixels now
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


def test_a_deleted_crop_is_made_again(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    before = contents(tmp_path / "out")
    (tmp_path / "out/images/1_2.png").unlink()
    recognizer = ByColor()
    build_dataset(photos, tmp_path / "out", color_reader(recognizer), SETTINGS)
    assert recognizer.seen == [(1, 2)]
    after = contents(tmp_path / "out")
    assert after == before


def test_test_pictures_of_no_target_any_more_go(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    other = BuildSettings(SplitSettings(test=1, seed=3))
    build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), other)
    targets = [target for target, _ in read_references(tmp_path / "out/reference_mapping/test_references.csv")]
    assert len(targets) == 4
    folder = tmp_path / "out/test_images/severe_degrad"
    assert sorted(path.name for path in folder.glob("*.png")) == targets
    assert [row["file"] for row in table(folder / degraded.TABLE)] == targets


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


def test_a_store_cannot_name_files_outside(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos")
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), SETTINGS)
    with closing(sqlite3.connect(tmp_path / "out" / builder.STATE)) as database, database:
        database.execute("UPDATE photos SET crop = '../../photos/' || crop")
    before = contents(tmp_path)
    with pytest.raises(UnsafePathError, match=r"build\.sqlite names '\.\./\.\./photos/"):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor(0)), SETTINGS)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_photos_whose_names_windows_cannot_have(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for which, name in enumerate(("a:1.png", "a\\1.png", "a_1.png")):
        flat(0, which).save(folder / name)
    for _ in range(2):  # the second finds what the first wrote
        build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()))
    images = {row["image"] for row in table(tmp_path / "out/people.csv")}
    assert len(images) == 3 and not any(set(name) & set(":\\") for name in images)
    assert {path.name for path in (tmp_path / "out/images").iterdir()} == images


def test_names_that_would_collide(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for which, name in enumerate(("a.png", "a.bmp", "A.tif")):
        flat(0, which).save(folder / name)
    build_dataset(photos_in(folder), tmp_path / "out", color_reader(ByColor()))
    images = [row["image"] for row in table(tmp_path / "out/people.csv")]
    assert len({name.lower() for name in images}) == 3
    assert all((tmp_path / "out/images" / name).is_file() for name in images)


def test_names_that_are_one_file_on_some_systems(tmp_path: Path) -> None:
    """Names in capitals or with accents of another composition, which a folder of Linux may hold side by side."""
    files = iter(write_flat(tmp_path / "photos").values())
    names = ["A.JPG", "A.jpg", "a.jpg", "a.png", "\xe9.png", "e\u0301.png", "B/a.png", "b/A.png", "b/a.jpg.png"]
    photos = dict(zip(names, files, strict=False))
    build_dataset(photos, tmp_path / "out", color_reader(ByColor()), BuildSettings(SplitSettings(test=1)))
    crops = {row["image"] for row in table(tmp_path / "out/people.csv")}
    assert len(crops) == len({folded(crop) for crop in crops}) == len(names)
    assert {
        path.relative_to(tmp_path / "out/images").as_posix() for path in photos_in(tmp_path / "out/images").values()
    } == crops


def test_what_cannot_be_built(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos", each=1)
    with pytest.raises(DataError, match="No two of 6 faces"):
        build_dataset(photos, tmp_path / "out", color_reader(ByColor()))
    with pytest.raises(OutputError, match="holds no earlier build"):
        build_dataset(photos, tmp_path / "photos", color_reader(ByColor()))
    other_reader = PhotoReader(ByColor(), None, ReadingSettings(aligned=True, crop_size=16), ("", "another"))
    with pytest.raises(SettingsError, match="recognizer by color, now another"):
        build_dataset(photos, tmp_path / "out", other_reader)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / builder.STATE).write_bytes(b"no database, but something long enough to be looked at" * 40)
    with pytest.raises(OutputError, match="cannot be read or written"):
        build_dataset(photos, tmp_path / "broken", color_reader(ByColor()))
    with pytest.raises(SettingsError, match="no face detector"):
        PhotoReader(ByColor(), None, ReadingSettings(), ("", ""))
    with pytest.raises(SettingsError):
        ReadingSettings(crop_size=8)
