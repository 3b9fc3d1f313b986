"""Tests of corpora, of the published CSV, and of the examples that are drawn from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.data.corpus import CorpusSpec, DataError, FolderCorpus, SyntheticCorpus, open_corpus, read_references
from refldm_core.data.groups import Group, Groups, GroupSpec
from refldm_core.face.template import template
from refldm_core.synthetic import conditions, person, portrait
from refldm_core.synthetic.dataset import picture_seed

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a1 to a4 of one person, b1 and b2 of another. Each picture has its own color."""
    path = tmp_path_factory.mktemp("faces")
    for i, name in enumerate(["a1", "a2", "a3", "a4", "b1", "b2"]):
        Image.new("RGB", (SIZE * 2, SIZE * 2), (40 * i, 10, 200)).save(path / f"{name}.png")
    rows = [f'a{i}.png,"{[f"a{j}.png" for j in range(1, 5) if j != i]}"' for i in range(1, 5)]
    rows += ["b1.png,\"['b2.png']\""]
    (path / "references.csv").write_text("gt_image,ref_image\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder in which the synthetic people of this file are rendered."""
    return str(tmp_path_factory.mktemp("people"))


def spec(folder: Path, **changes: object) -> CorpusSpec:
    values = {"kind": "folder", "folder": str(folder), "references": str(folder / "references.csv"), "size": SIZE}
    return CorpusSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_a_folder_with_the_published_csv_gives_targets_and_references(folder: Path) -> None:
    corpus = open_corpus(spec(folder))
    assert isinstance(corpus, FolderCorpus)
    assert [len(target.references) for target in corpus.targets] == [3, 3, 3, 3, 1]
    for target in corpus.targets:
        assert target.picture not in target.references
    assert corpus.picture(corpus.targets[1].picture).shape == (SIZE, SIZE, 3)
    assert corpus.picture(corpus.targets[1].picture)[0, 0].tolist() == [40, 10, 200]
    a1, a2 = corpus.targets[0].picture, corpus.targets[1].picture
    assert corpus.sharing([a1]) == [1, 2, 3]
    assert corpus.sharing([a1, a2]) == [2, 3]


def test_every_picture_of_a_folder_without_references_is_a_target(folder: Path) -> None:
    corpus = open_corpus(spec(folder, references=""))
    assert len(corpus.targets) == 6
    assert Groups(corpus, GroupSpec(references=0)).draw(3).references.shape == (0, SIZE, SIZE, 3)
    with pytest.raises(DataError, match=r"targets without references"):
        Groups(corpus, GroupSpec())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("gt_image,ref_image\na1.png,\"['zz.png']\"\n", ["The first is zz.png", "line 2"]),
        ("gt_image,ref_image\na1.png,\"['a2.png']\"\nnope.png,\"['a2.png']\"\n", ["nope.png", "line 3"]),
        ("gt_image,ref_image\na1.png,\"['a2.png', 'a1.png']\"\n", ["a1.png, line 2", "has itself"]),
        ("gt_image,ref_image\na1.png,[]\n", ["has no references"]),
        ("gt_image,ref_image\na1.png,a2.png\n", ["a list of file names"]),
        ("gt_image,ref_image\na1.png,5\n", ["a list of file names"]),
        ("target,refs\na1.png,a2.png\n", ["the columns target, refs"]),
        ("gt_image,ref_image\n", ["has no rows"]),
    ],
)
def test_mistakes_in_the_csv_are_named(folder: Path, tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "references.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        open_corpus(spec(folder, references=str(path)))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothere\.csv"):
        read_references(tmp_path / "nothere.csv")
    with pytest.raises(DataError, match="no pictures"):
        open_corpus(CorpusSpec(kind="folder", folder=str(tmp_path)))
    with pytest.raises(DataError, match="at least 2 pictures"):
        open_corpus(CorpusSpec(people=3, pictures=1))


def same(first: Group, second: Group) -> bool:
    pairs = zip(
        (first.targets, first.lq, first.references), (second.targets, second.lq, second.references), strict=True
    )
    return all(np.array_equal(a, b) for a, b in pairs)


def test_an_example_is_a_function_of_its_number(cache: str) -> None:
    corpus = SyntheticCorpus(CorpusSpec(people=3, pictures=5, size=SIZE, cache=cache))
    groups = Groups(corpus, GroupSpec(targets=2, references=2, count="random", repeat=False))
    assert same(groups.draw(7), groups.draw(7))
    assert not same(groups.draw(7), groups.draw(8))


def test_targets_share_references_of_their_person_and_are_not_among_them(folder: Path) -> None:
    corpus = open_corpus(spec(folder))
    groups = Groups(corpus, GroupSpec(targets=2, references=2, count="random", repeat=False, augment=False))
    counts = Counter[int]()
    for number in range(60):
        group = groups.draw(number)
        colors = [int(picture[0, 0, 0]) for picture in group.references]
        counts[len(colors)] += 1
        assert len(set(colors)) == len(colors)
        for target in group.targets:
            assert int(target[0, 0, 0]) not in colors
            assert (int(target[0, 0, 0]) < 160) == (colors[0] < 160), "references of another person"
    assert counts[1] and counts[2]


def test_references_are_repeated_as_published(folder: Path) -> None:
    corpus = open_corpus(spec(folder))
    group = Groups(corpus, GroupSpec(references=5, augment=False, variants=1)).draw(0)
    colors = [int(picture[0, 0, 0]) for picture in group.references]
    assert len(colors) == 5 and len(set(colors)) == 3 and colors[:2] == colors[3:]


def test_augmentation_changes_references_only(cache: str) -> None:
    corpus = SyntheticCorpus(CorpusSpec(people=2, pictures=3, size=SIZE, cache=cache))
    plain, changed = (Groups(corpus, GroupSpec(augment=augment, variants=1)).draw(0) for augment in (False, True))
    assert np.array_equal(plain.targets, changed.targets)
    assert not np.array_equal(plain.references, changed.references)
    assert same(changed, Groups(corpus, GroupSpec(variants=1)).draw(0))


def test_a_limited_number_of_examples_covers_every_target(cache: str) -> None:
    corpus = SyntheticCorpus(CorpusSpec(people=3, pictures=4, size=SIZE, cache=cache))
    groups = Groups(corpus, GroupSpec(variants=2, targets=1))
    assert groups.recipes == 24
    assert {groups.recipe(seed) for seed in range(600)} == set(range(24))


def test_a_folder_has_the_people_of_its_csv_and_landmarks_of_the_template(folder: Path) -> None:
    """The CSV joins a1 to a4, and b1 to b2."""
    corpus = open_corpus(spec(folder))
    assert sorted(sorted(person) for person in corpus.people) == [[0, 1, 2, 3], [4, 5]]
    np.testing.assert_array_equal(corpus.landmarks(0), template(SIZE))


def test_rendered_people_have_their_own_landmarks(cache: str, tmp_path: Path) -> None:
    corpus = SyntheticCorpus(CorpusSpec(people=2, pictures=3, size=SIZE, cache=cache))
    assert sorted(map(sorted, corpus.people)) == [[0, 1, 2], [3, 4, 5]]
    own = portrait(person(1), conditions(picture_seed(1, 2)), SIZE)
    np.testing.assert_array_equal(corpus.picture(5), own.picture)
    np.testing.assert_allclose(corpus.landmarks(5), own.landmarks, atol=1e-3)
    rendered = Path(cache) / f"portraits-{SIZE}px"
    half = FolderCorpus(CorpusSpec("folder", folder=str(rendered), size=SIZE // 2))
    index = sorted(p.name for p in rendered.iterdir()).index("000001_002.png")
    np.testing.assert_allclose(half.landmarks(index), (own.landmarks + 0.5) / 2 - 0.5, atol=1e-3)


def test_a_person_is_rendered_once(cache: str) -> None:
    """Corpora of the same people share the cache, and a later one adds what is missing."""
    SyntheticCorpus(CorpusSpec(people=2, pictures=2, size=SIZE, cache=cache))
    pictures = {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.png")}
    SyntheticCorpus(CorpusSpec(people=1, pictures=2, size=SIZE, cache=cache, first_person=1))
    assert {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.png")} == pictures
