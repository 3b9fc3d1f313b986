"""Tests of checking FFHQ-Ref and CelebA-Test-Ref, on a small copy of the published layout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from refldm_core.data.corpus import CorpusSpec, DataError, open_corpus
from refldm_core.data.ffhq_ref import (
    CELEBA_REF,
    FFHQ_REF,
    Check,
    Problem,
    Size,
    check_celeba_ref,
    check_ffhq_ref,
    size_of,
)

from .small_ffhq import LISTED, SIZES, name, picture, table, write_ffhq_ref


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_ffhq_ref(tmp_path / "FFHQ-Ref", tmp_path / "ffhq")
    return tmp_path / "FFHQ-Ref"


def check(dataset: Path) -> Check:
    return check_ffhq_ref(dataset, dataset.parent / "ffhq", SIZES, LISTED)


def problems_of(dataset: Path) -> list[str]:
    return [str(problem) for problem in check(dataset).problems]


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_published_sizes_add_up() -> None:
    assert sum(size.images for size in FFHQ_REF.values()) == 20_405
    assert sum(size.people or 0 for size in FFHQ_REF.values()) == 6_523
    assert CELEBA_REF.images == 2_533


def test_a_complete_copy_has_no_problems(dataset: Path, tmp_path: Path) -> None:
    result = check(dataset)
    assert result.problems == () and result.notes == ()
    assert result.sizes == SIZES
    (tmp_path / "mapping").mkdir()
    result.write(tmp_path / "mapping")
    csv = str(tmp_path / "mapping" / "train_references.csv")
    corpus = open_corpus(CorpusSpec("folder", folder=str(tmp_path / "ffhq"), references=csv, size=8))
    assert len(corpus.targets) == 5, "the written CSV names subfolders, which the published CSV does not"


def test_wrong_counts_are_named(dataset: Path) -> None:
    problems = [str(p) for p in check_ffhq_ref(dataset, dataset.parent / "ffhq").problems]
    assert problems == [
        "train has 5 images of 2 people; published are 18,816 of 6,073.",
        "val has 2 images of 1 people; published are 732 of 300.",
        "test has 3 images of 1 people; published are 857 of 150.",
        "The lists hold 14 images (train 7, val 3, test 4); published are 70,000.",
    ]


def test_missing_pictures_are_named(dataset: Path) -> None:
    for number in (0, 3, 5, 22):
        (dataset.parent / "ffhq" / f"{number // 10 * 10:05}" / name(number)).unlink()
    (dataset / "test_images" / "severe_degrad" / name(21)).unlink()
    result = problems_of(dataset)
    assert len(result) == 5
    assert re.fullmatch(r"2 pictures of train's references are not in \S+ffhq: 00000.png, 00003.png\.", result[0])
    assert "1 pictures of test's references" in result[1] and "00022.png" in result[1]
    assert "3 pictures of train's list" in result[2] and "00000.png, 00003.png, 00005.png" in result[2]
    assert "severe_degrad: 00021.png" in result[4]
    remaining = [("00000/00001.png", ("00000/00002.png",)), ("00000/00002.png", ("00000/00001.png",))]
    assert check(dataset).references["train"] == remaining


def test_long_lists_are_shortened_in_text_only() -> None:
    problem = Problem("9 pictures are missing", tuple(name(i) for i in range(9)))
    assert str(problem).endswith("00004.png and 4 more.")
    assert len(Check({}, (problem,), (), {}).as_json()["problems"][0]["names"]) == 9


def test_people_in_two_splits_are_named(dataset: Path) -> None:
    path = dataset / "reference_mapping" / "val_references.csv"
    path.write_text(table([[10, 11], [3, 4]]), encoding="utf-8")
    result = problems_of(dataset)
    assert "2 pictures are in the references of both train and val: 00003.png, 00004.png." in result
    assert "2 pictures of val's references are not in its list: 00003.png, 00004.png." in result
    replace_in(dataset / "id_based_ffhq_split" / "test_image.txt", name(23), name(6))
    assert "1 pictures are in the lists of both train and test: 00006." in problems_of(dataset)


def test_repeated_targets_are_named(dataset: Path) -> None:
    path = dataset / "reference_mapping" / "test_references.csv"
    replace_in(path, "00022.png,", "00021.png,")
    with pytest.raises(DataError, match="has itself among its references"):
        check(dataset)
    replace_in(path, "00021.png,\"['00020.png', '00021.png']\"", "00021.png,\"['00020.png', '00022.png']\"")
    assert any("1 targets of test have several rows: 00021.png" in problem for problem in problems_of(dataset))


def test_parts_that_cannot_be_checked_are_noted(dataset: Path) -> None:
    (dataset / "id_based_ffhq_split" / "val_image.txt").unlink()
    (dataset / "test_images").rename(dataset / "elsewhere")
    result = check(dataset)
    assert result.problems == () and len(result.notes) == 3
    assert "val" in result.notes[0] and "severe_degrad" in result.notes[1]


def test_other_layouts_are_accepted(dataset: Path) -> None:
    """The CSVs lie in the dataset's folder, and the pictures of another format in one folder."""
    for path in (dataset / "reference_mapping").iterdir():
        path.rename(dataset / path.name)
    for path in sorted((dataset.parent / "ffhq").rglob("*.png")):
        Image.open(path).save(dataset.parent / "ffhq" / f"{path.stem}.webp")
        path.unlink()
    result = check(dataset)
    assert result.problems == ()
    assert len(result.notes) == 1 and "00000.png as 00000.webp" in result.notes[0]


def test_missing_or_ambiguous_files_are_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train_references\.csv"):
        check(tmp_path / "ffhq")
    picture(tmp_path / "ffhq" / "thumbnails128x128" / name(0))
    with pytest.raises(DataError, match=r"two pictures of the name 00000\.png"):
        check(dataset)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        check_ffhq_ref(dataset, tmp_path / "empty")


def test_references_join_pictures_to_people() -> None:
    rows = [("a", ("b",)), ("c", ("b",)), ("d", ("e", "f")), ("a", ("c",))]
    assert size_of(rows) == Size(3, 2)


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    folder = tmp_path / "CelebA-Test-Ref"
    for number in (1, 2):
        picture(folder / "celeba_test_images" / "HQ" / name(number))
        picture(folder / "celeba_test_images" / "LQ" / name(number))
    for number in (100, 101, 102):
        picture(tmp_path / "CelebA-HQ-img" / f"{number}.jpg")
    text = "gt_image,ref_image\n00001.png,\"['100.jpg', '101.jpg']\"\n00002.png,\"['102.jpg']\"\n"
    (folder / "test_references.csv").write_text(text, encoding="utf-8")
    return folder


def test_missing_pictures_of_celeba_are_named(celeba: Path) -> None:
    references = celeba.parent / "CelebA-HQ-img"
    result = check_celeba_ref(celeba, references, expected=Size(2, None))
    assert result.problems == () and result.notes == () and result.sizes == {"test": Size(2, 2)}
    (celeba / "celeba_test_images" / "LQ" / name(1)).unlink()
    (celeba / "celeba_test_images" / "HQ" / name(2)).unlink()
    (references / "102.jpg").unlink()
    problems = [str(problem) for problem in check_celeba_ref(celeba, references).problems]
    assert problems[0] == "test has 2 images; published are 2,533."
    assert [problem.rsplit(": ", 1)[1] for problem in problems[1:]] == ["00002.png.", "102.jpg.", "00001.png."]


def test_celeba_accepts_a_folder_of_targets(celeba: Path) -> None:
    images = celeba / "celeba_test_images"
    (images / "LQ").rename(images / "inputs")
    with pytest.raises(DataError, match="two pictures of the name"):
        check_celeba_ref(celeba, celeba.parent / "CelebA-HQ-img")
    result = check_celeba_ref(celeba, celeba.parent / "CelebA-HQ-img", images / "HQ", Size(2, None))
    assert result.problems == () and "low-quality" in result.notes[0]
