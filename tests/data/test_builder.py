"""Tests of the builder: known people are found again, splits share no person, and everything left out is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.data import builder, degraded, photo_store
from refldm_core.data.build_report import BuildReport
from refldm_core.data.builder import build_dataset
from refldm_core.data.corpus import CorpusSpec, DataError, open_corpus, read_references
from refldm_core.data.degradation import RANGES, draw
from refldm_core.data.degradation import degrade as degrade_picture
from refldm_core.data.degraded import picture_seed
from refldm_core.data.distances import block_distances
from refldm_core.data.photo_reading import PhotoReader, ReadingSettings
from refldm_core.errors import OutputError, SettingsError
from refldm_core.face.detection import DetectionSettings
from refldm_core.synthetic import scene

from ..embedded import needs_embedded
from .builds import SETTINGS, table
from .photos import ALONE, PEOPLE, ByColor, color_reader, photo_of, photo_of_two, photos_in, write_flat

PHOTOS_PER_PERSON = 4


def embedded_reader(**settings: object) -> PhotoReader:
    return PhotoReader(
        load_recognizer(embedded.require(embedded.RECOGNIZER)),
        load_detector("embedded", Path(), DetectionSettings(turns=(0,))),
        ReadingSettings(crop_size=96, min_size=35.0, **settings),  # type: ignore[arg-type]
        ("embedded", "embedded"),
    )


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sample photos of six people, and with the unusable photos that real folders contain."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "more").mkdir()
    for which in range(PHOTOS_PER_PERSON):
        for who, name in enumerate(PEOPLE):
            path = folder / ("more" if which % 2 else "") / f"{which}_{who:02}.png"
            Image.fromarray(photo_of(name, which)).save(path)
    content = (folder / "0_00.png").read_bytes()
    (folder / "damaged.png").write_bytes(content[: len(content) // 2])
    Image.open(folder / "0_00.png").save(folder / "1_copy.bmp")
    brighter = np.asarray(Image.open(folder / "0_01.png")).astype(int) + 3
    Image.fromarray(brighter.clip(0, 255).astype(np.uint8)).save(folder / "2_brighter.png")
    Image.fromarray(photo_of(ALONE, 0)).save(folder / "alone.png")
    Image.fromarray(scene([], 5, 112, 112).picture).save(folder / "nobody.png")
    Image.fromarray(photo_of_two()).save(folder / "two.png")
    with Image.open(folder / "0_03.png") as image:
        image.resize((image.width * 2 // 5, image.height * 2 // 5)).save(folder / "tiny.png")
    return folder


@pytest.fixture(scope="module")
def built(album: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildReport]:
    output = tmp_path_factory.mktemp("built") / "dataset"
    return output, build_dataset(photos_in(album), output, embedded_reader(), SETTINGS)


@needs_embedded
def test_known_people_are_recovered(built: tuple[Path, BuildReport]) -> None:
    rows = [row for row in table(built[0] / "people.csv") if Path(row["image"]).stem[:2] in ("0_", "1_", "2_", "3_")]
    rows = [row for row in rows if row["image"] != "2_brighter.png"]
    assert len(rows) == len(PEOPLE) * PHOTOS_PER_PERSON
    truth = [int(row["image"][-6:-4]) for row in rows]
    assert adjusted_rand_score(truth, [int(row["person"]) for row in rows]) == 1.0


@needs_embedded
def test_no_person_is_in_two_splits(built: tuple[Path, BuildReport]) -> None:
    output, report = built
    people: dict[str, set[str]] = {}
    person_of: dict[str, str] = {}
    for row in table(output / "people.csv"):
        people.setdefault(row["person"], set()).add(row["split"])
        person_of[row["image"]] = row["person"]
    assert all(len(splits) == 1 for splits in people.values())
    assert {split: report.splits[split].people for split in ("val", "test")} == {"val": 1, "test": 2}
    lists = {
        s: (output / "id_based_split" / f"{s}_image.txt").read_text(encoding="utf-8").split()
        for s in ("train", "val", "test")
    }
    assert sorted(name for names in lists.values() for name in names) == sorted(person_of)
    seen: dict[str, set[str]] = {}
    for split, names in lists.items():
        rows = read_references(output / "reference_mapping" / f"{split}_references.csv")
        assert rows
        for target, references in rows:
            assert {person_of[name] for name in references} == {person_of[target]}
            assert {target, *references} <= set(names)
        seen[split] = {person_of[name] for name in names}
    assert not seen["train"] & seen["val"] and not seen["train"] & seen["test"] and not seen["val"] & seen["test"]


@needs_embedded
def test_test_references_are_the_allowed_ones_in_farthest_point_order(built: tuple[Path, BuildReport]) -> None:
    """The expected references come from all distances between the embeddings that the build stored."""
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
def test_the_report_names_everything_that_was_left_out(built: tuple[Path, BuildReport]) -> None:
    output, _ = built
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    left_out = report["left_out"]
    assert list(left_out["unreadable"]) == ["damaged.png"] and "cannot be read" in left_out["unreadable"]["damaged.png"]
    assert left_out["same pixels"] == {"1_copy.bmp": "0_00.png"}
    assert list(left_out["no face"]) == ["nobody.png"]
    assert list(left_out["too small"]) == ["tiny.png"]
    assert "alone.png" in report["one_picture"]
    assert report["several_faces"] == {"two.png": 2}
    assert any({"0_01.png", "2_brighter.png"} <= set(group["pictures"]) for group in report["near_duplicates"])
    text = (output / "report.md").read_text(encoding="utf-8")
    for name in ("damaged.png", "1_copy.bmp", "nobody.png", "tiny.png", "alone.png", "two.png", "2_brighter.png"):
        assert f"`{name}`" in text, name
    assert report["photos"] == len(PEOPLE) * PHOTOS_PER_PERSON + 7
    assert sum(report["distances"]["pairs"]) == report["faces"] * (report["faces"] - 1) // 2
    assert str(output.parent) not in text + json.dumps(report), "a report moves to other machines"


@needs_embedded
def test_the_dataset_opens_as_a_corpus(built: tuple[Path, BuildReport]) -> None:
    output, report = built
    for split in ("train", "val", "test"):
        references = str(output / "reference_mapping" / f"{split}_references.csv")
        corpus = open_corpus(CorpusSpec("folder", folder=str(output / "images"), references=references, size=96))
        assert len(corpus.targets) == len(report.splits[split].references)  # type: ignore[index]
        assert corpus.picture(corpus.targets[0].picture).shape == (96, 96, 3)


@needs_embedded
def test_photos_with_several_faces_can_be_left_out(album: Path, tmp_path: Path) -> None:
    photos = {name: album / name for name in ("0_00.png", "more/1_00.png", "two.png")}
    report = build_dataset(photos, tmp_path / "out", embedded_reader(several="skip"))
    assert report.outcomes["several faces"] == {"two.png": "2 faces"}


def test_degraded_test_sets_are_reproducible_from_their_tables(tmp_path: Path) -> None:
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


def test_unusable_photos_folders_and_settings_are_refused(tmp_path: Path) -> None:
    photos = write_flat(tmp_path / "photos", per_person=1)
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
