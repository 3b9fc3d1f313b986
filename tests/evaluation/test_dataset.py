"""The people of the true pictures, and the predictions of each picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.data.corpus import DataError
from refldm_core.errors import UnsafePathError
from refldm_core.evaluation.dataset import find_targets, match_predictions


def save(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(folder / name)
    return folder


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_pictures_that_references_connect_show_one_person(tmp_path: Path) -> None:
    faces = save(tmp_path / "faces", *(f"{name}.png" for name in "abcdefgh"))
    table = write(
        tmp_path / "r.csv",
        "gt_image,ref_image",
        "b.png,\"['a.png', 'c.png']\"",
        "d.png,['c.png']",  # c connects d with b
        "e.png,['f.png']",
        "g.png,[]",
        "e.png,['f.png']",
        "z.png,['a.png']",
        "h.png,\"['a.png', 'lost.png']\"",
    )
    targets, findings = find_targets(faces, table)
    assert {target.name: target.person for target in targets} == {
        "b.png": "a.png",
        "d.png": "a.png",
        "h.png": "a.png",
        "e.png": "e.png",
        "g.png": "g.png",
    }
    assert [photo.name for photo in targets[0].references] == ["a.png", "c.png"]
    assert {(finding.kind, finding.what, finding.mend) for finding in findings} == {
        ("duplicate", "e.png", True),
        ("ground truth missing", "z.png", True),
        ("reference missing", "h.png", True),
        ("one photo", "g.png", False),
    }


@pytest.mark.parametrize("row", ["../b.png,['a.png']", "a.png,['/etc/b.png']", "a.png,['..\\\\b.png']"])
def test_name_that_leads_out_of_the_folder_is_refused(row: str, tmp_path: Path) -> None:
    faces = save(tmp_path / "faces", "a.png", "../b.png")
    with pytest.raises(UnsafePathError, match=r"Line 2 of .*r\.csv names .* cannot be used"):
        find_targets(faces, write(tmp_path / "r.csv", "gt_image,ref_image", row))


def test_deeply_nested_references_are_an_error(tmp_path: Path) -> None:
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(DataError, match=r"Line 2 of .* has the references '\[+\.\.\."):
        find_targets(tmp_path, write(tmp_path / "r.csv", "gt_image,ref_image", f"a.png,{deep}"))


def test_list_of_people_names_the_person_of_each_picture(tmp_path: Path) -> None:
    faces = save(tmp_path / "faces", "a.png", "b.png", "c.png", "sub/d.png")
    listed = write(tmp_path / "p.csv", "image,person,split", "a.png,anna,test", "b.png,anna,test", "c.png,cem,test")
    targets, findings = find_targets(faces, people=listed)
    assert [(target.name, target.person) for target in targets] == [
        ("a.png", "anna"),
        ("b.png", "anna"),
        ("c.png", "cem"),
        ("sub/d.png", "sub/d.png"),
    ]
    assert {(finding.kind, finding.what) for finding in findings} == {
        ("person unknown", "sub/d.png"),
        ("one photo", "c.png"),
        ("one photo", "sub/d.png"),
    }
    assert [target.person for target in find_targets(faces)[0]] == ["a.png", "b.png", "c.png", "sub/d.png"]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a.png,anna\nb.png\n", "Line 3 of .* has no person"),
        ("a.png,anna\nb.png,\n", "Line 3 of .* has no person"),
        (",anna\n", "Line 2 of .* has no image"),
    ],
)
def test_row_without_image_or_person_is_an_error(rows: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"image,person\n{rows}", encoding="utf-8")
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=problem):
        find_targets(tmp_path, people=path)


def test_predictions_are_matched_by_name(tmp_path: Path) -> None:
    faces = save(tmp_path / "faces", "a.png", "b.jpg", "c.png", "c.jpg", "sub/a.png", "e.png", "f.png")
    targets, _ = find_targets(faces)
    names = (
        "a.webp",
        "b.png",
        "c.png.png",
        "c.jpg.png",
        "sub/a.png",
        "e.png",
        "e.jpg",
        "x.png",
        "o.png",
        "o.jpg.png",
        ".hidden.png",
    )
    predictions = save(tmp_path / "predictions", *names)
    matched, findings = match_predictions("ours", predictions, targets, other_pictures=["o.jpg"])
    assert {name: path.relative_to(predictions).as_posix() for name, path in matched.items()} == {
        "a.png": "a.webp",
        "b.jpg": "b.png",
        "c.jpg": "c.jpg.png",
        "c.png": "c.png.png",
        "sub/a.png": "sub/a.png",
    }
    assert {(finding.kind, finding.what, finding.method) for finding in findings} == {
        ("duplicate", "e.png", "ours"),
        ("prediction missing", "f.png", "ours"),
        ("extra prediction", "x.png", "ours"),
    }
    all_matched, no_findings = match_predictions("copy", faces, targets)
    assert len(all_matched) == len(targets) and not no_findings


def test_unusable_folder_or_csv_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        find_targets(tmp_path / "empty")
    faces = save(tmp_path / "faces", "a.png")
    with pytest.raises(DataError, match="no folder"):
        match_predictions("ours", tmp_path / "nowhere", find_targets(faces)[0])
    with pytest.raises(DataError, match="columns name, age"):
        find_targets(faces, people=write(tmp_path / "other.csv", "name,age", "a,7"))
    with pytest.raises(DataError, match="itself"):
        find_targets(faces, write(tmp_path / "self.csv", "gt_image,ref_image", "a.png,['a.png']"))
