"""CSV and JSON files: references, people, scores, degradations, seconds, settings of an evaluation, lists of scenes."""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from refldm_core.cli import benchmark_plan, evaluate
from refldm_core.data.corpus import CorpusSpec, FolderCorpus, read_references
from refldm_core.data.degraded import COLUMNS as DEGRADED_COLUMNS
from refldm_core.data.degraded import read_table, write_table
from refldm_core.data.ffhq_ref import check_ffhq_ref
from refldm_core.evaluation import session
from refldm_core.evaluation.dataset import find_targets
from refldm_core.evaluation.scores import COLUMNS, VALUES, Scores
from refldm_core.training.scenes import SceneSet

from ...data.small_ffhq import LISTED, SIZES, write_ffhq_ref
from ..cases import Action, Case, Reader, require
from ..examples import example
from ..mutation import mutate
from ..seed_files import photo
from .whole_files import file_reader


def read_rows(path: Path) -> None:
    """Read a references CSV."""
    for target, references in read_references(path, alone=True):
        require(isinstance(target, str) and target not in references, f"{target!r} is its own reference")
        for name in (target, *references):
            require(isinstance(name, str) and name and ".." not in Path(name).parts, f"{name!r} is accepted")
            require(not Path(name).is_absolute(), f"{name!r} is accepted")


_cells = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["a0.png", "a1.png", "", "../a.png", "/etc/passwd", "a\0b", "=1+1", "'a", "x" * 300, "[" * 3000, "nan"]
    ),
    st.lists(st.sampled_from(["a0.png", "b.png", "../c", 1, None]), max_size=3).map(repr),
    st.floats().map(repr),
    st.sampled_from(
        ["['a1.png', ('b.png',)]", "{'a': 1}", "'text'", "[1, 2]", "[b'a.png']", "9" * 5000, "-" * 3000 + "1"]
    ),
)
_tables = st.lists(st.lists(_cells, min_size=1, max_size=4), max_size=6)


def _write_table(case: Case, name: str, header: tuple[str, ...], *sound: tuple[str, ...]) -> Path:
    """Write a table of sound rows, in most of which one to three cells are changed."""
    random = case.random
    odd = [cell for row in example(case, _tables) for cell in row]
    rows = [list(header), *(list(random.choice(sound)) for _ in range(random.randrange(4)))]
    for _ in range(random.choice((0, 1, 1, 1, 2, 3)) if odd else 0):
        row = random.choice(rows[1:] or rows)
        change = random.random()
        if change < 0.85:
            row[random.randrange(len(row))] = random.choice(odd)
        elif change < 0.92:
            row.append(random.choice(odd))
        elif len(row) > 1:
            row.pop()
    path = case.folder / name
    with path.open("w", encoding="utf-8", newline="", errors="surrogatepass") as file:
        csv.writer(file).writerows(rows)
    if case.number % 5 == 4:
        path.write_bytes(mutate(path.read_bytes(), random))
    return path


_REFERENCES = (("a0.png", "['a1.png']"), ("a1.png", "['a0.png', 'b.png']"), ("b.png", "('a0.png',)"))
_SCORES = tuple(
    ("ours", name, "Anna", "1" * 64, "2" * 64, *["0.5"] * len(VALUES)) for name in ("a.png", "b.png", "'=c.png")
)
_DEGRADED = tuple((name, "severe", "5", "1.5", "2", "3.25", "60") for name in ("a.png", "b/c.png", "ü.png"))


def _prepare_references(case: Case) -> Action:
    path = _write_table(case, "references.csv", ("gt_image", "ref_image"), *_REFERENCES)
    for name in ("a0.png", "a1.png", "b.png"):
        photo(1).save(case.folder / name)

    def action() -> None:
        if case.number % 2:
            read_rows(path)
        else:
            corpus = FolderCorpus(CorpusSpec("folder", folder=str(case.folder), references=str(path), size=32))
            require(all(corpus.picture(target.picture).shape == (32, 32, 3) for target in corpus.targets), "a picture")

    return action


def _prepare_people(case: Case) -> Action:
    people = _write_table(case, "people.csv", ("image", "person"), ("a0.png", "Anna"), ("b.png", "Ben"))
    for name in ("a0.png", "b.png"):
        photo(1).save(case.folder / name)

    def action() -> None:
        targets, _ = find_targets(case.folder, people=people)
        require(all(target.path.is_file() and target.person for target in targets), "a target without file or person")

    return action


def _prepare_scores(case: Case) -> Action:
    path = _write_table(case, "per_image.csv", (*COLUMNS, *VALUES), *_SCORES)

    def action() -> None:
        scores = Scores(path, resume=True)
        rows = dict(scores.rows)
        scores.write()
        require(
            repr(sorted(Scores(path, resume=True).rows.items())) == repr(sorted(rows.items())),
            "written and read again, the scores are others",
        )

    return action


def read_degradations(path: Path) -> None:
    """Read the table of degradations, write it and read it again."""
    rows = read_table(path)
    write_table(path, rows, [])
    require(read_table(path) == rows, "written and read again, the rows are others")


def _prepare_degradations(case: Case) -> Action:
    return partial(read_degradations, _write_table(case, "degradations.csv", DEGRADED_COLUMNS, *_DEGRADED))


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
        st.sampled_from([10**400, "1.5", "nan", [], {}, "x" * 3000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["restored", "seconds", "faces", "about", "sets", "recognizers", "versions", "ids"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)  # fmt: skip
_documents = st.tuples(_json, _json)
_SOUND: tuple[Any, ...] = (
    {
        "about": {"recognizers": {"ids": "a" * 64}, "references": None, "versions": {"pyiqa": "0.1"}},
        "sets": {"fid": 1.5},
    },
    {"restored": [{"seconds": 1.5, "faces": [1, 2]}, {"seconds": 2}]},
    {"model": "x", "seed": 1},
)


def _with_odd_values(document: Any, values: tuple[Any, ...], random: Random) -> Any:
    """Return a copy of a document, in which values are replaced by odd ones."""
    changed = json.loads(json.dumps(document))
    for value in values:
        section = changed
        while isinstance(section, (dict, list)) and section:
            key = random.choice(sorted(section) if isinstance(section, dict) else range(len(section)))
            if not isinstance(section[key], (dict, list)) or random.random() < 0.4:
                section[key] = value
                break
            section = section[key]
    return changed


_RAW = ("[" * 200_000, '{"about":' * 50_000, "1" * 100_000, "\ufeff{}", "NaN", '"\\ud800"', "")


def _write_json(case: Case, name: str, sound: Any) -> Path:
    random = case.random
    values = example(case, _documents)
    text = json.dumps(_with_odd_values(sound, values[: random.choice((0, 1, 1, 2))], random))
    path = case.folder / name
    content = (_RAW[case.number // 9 % len(_RAW)] if case.number % 9 == 8 else text).encode(errors="surrogatepass")
    path.write_bytes(mutate(content, random) if content and case.number % 5 == 4 else content)
    return path


def _prepare_json(case: Case) -> Action:
    which = case.number % 3
    name, read = (("evaluation.json", read_evaluation), ("seconds.json", read_seconds), ("x.json", read_conditions))[
        which
    ]
    return partial(read, _write_json(case, name, _SOUND[which]))


def read_seconds(path: Path) -> None:
    """Read the seconds of a method."""
    for seconds in evaluate._seconds([f"ours={path}"], {"ours": path.parent}).values():
        require(math.isfinite(seconds) and seconds >= 0.0, f"{seconds} seconds")


def read_evaluation(path: Path) -> None:
    """Read the settings of an earlier evaluation, as one that continues it does."""
    (path.parent / session.PER_IMAGE).write_text("", encoding="utf-8")
    (path.parent / "evaluation.json").write_bytes(path.read_bytes())
    current: dict[str, Any] = {"recognizers": {"ids": "a" * 64}, "references": None, "versions": {"pyiqa": "0.1"}}
    sets = session._earlier_sets(path.parent, current, resume=True, overwrite=False, restart=False)
    numbers = (sets or {}).values()
    require(
        all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in numbers), f"sets are {sets!r}"
    )


def read_conditions(path: Path) -> None:
    """Read the conditions of an earlier benchmark."""
    settings = path.with_name(benchmark_plan._SETTINGS)
    settings.write_bytes(path.read_bytes())
    args = argparse.Namespace(output=path.parent, overwrite=False)
    benchmark_plan.require_same_conditions(args, {"model": "x", "seed": 1})


def read_json(path: Path) -> None:
    """Read one of these files by its name."""
    kinds = {"evaluation": read_evaluation, "benchmark": read_conditions}
    kinds.get(path.name.split(" ")[0], read_seconds)(path)


def _prepare_seconds_table(case: Case) -> Action:
    path = _write_table(case, "seconds.csv", ("method", "seconds"), ("ours", "1.5"), ("", "2"), ("other", "1e-3"))
    return partial(read_seconds, path)


def _prepare_ffhq(case: Case) -> Action:
    dataset, images = case.folder / "FFHQ-Ref", case.folder / "ffhq"
    cached = case.seeds.parent / "small-ffhq"
    if not cached.is_dir():
        write_ffhq_ref(cached / "FFHQ-Ref", cached / "ffhq")
    shutil.copytree(cached, case.folder, dirs_exist_ok=True)
    texts = sorted(path for path in dataset.rglob("*") if path.suffix in (".csv", ".txt"))
    damaged = case.random.choice(texts)
    damaged.write_bytes(mutate(damaged.read_bytes(), case.random))

    def action() -> None:
        check = check_ffhq_ref(dataset, images, SIZES, LISTED)
        json.dumps(check.as_json())
        check.write(case.folder)

    return action


_RECORD = {
    "image": "a.png",
    "visible": [1.0, 0.1],
    "landmarks": [[[1.0, 2.0]] * 5, [[3.0, 4.0]] * 5],
    "boxes": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
}
_ODD_VALUES = st.one_of(
    st.sampled_from(["../a.png", "/etc/passwd", "", 1, [], 1e400, -1, True, "b.png"]), st.floats(), _json
)
_TWO_ODD_VALUES = st.tuples(_ODD_VALUES, _ODD_VALUES)


def _prepare_scenes(case: Case) -> Action:
    random = case.random
    values = example(case, _TWO_ODD_VALUES)
    records = [
        _with_odd_values(_RECORD, values[: random.choice((0, 1, 1, 2))], random) for _ in range(random.randrange(3))
    ]
    (case.folder / "images").mkdir()
    photo(1).save(case.folder / "images" / "a.png")
    text = "".join(json.dumps(record) + "\n" for record in records)
    (case.folder / "attributes.jsonl").write_text(text, encoding="utf-8")

    def action() -> None:
        scenes = SceneSet(case.folder)
        for index in range(len(scenes)):
            scene = scenes.scene(index)
            require(scene.picture.shape[2] == 3, "a picture")

    return action


READERS = [
    file_reader("references CSV file", "tables", "references.csv", read_rows, share=8),
    Reader("references CSV", _prepare_references, 10, read_rows),
    Reader("people CSV", _prepare_people, 6),
    Reader("scores CSV", _prepare_scores, 6),
    Reader("degradations CSV", _prepare_degradations, 5, read_degradations),
    Reader("seconds CSV", _prepare_seconds_table, 5, read_seconds),
    Reader("JSON", _prepare_json, 12, read_json),
    Reader("FFHQ-Ref", _prepare_ffhq, 6),
    Reader("scenes", _prepare_scenes, 6),
]
