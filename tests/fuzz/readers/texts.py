"""YAML, configs of trainings, ranges, names of files, and typed lists."""

from __future__ import annotations

import datetime
import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml
from hypothesis import strategies as st

from refldm_core.errors import OutOfRangeError
from refldm_core.face.boxes import added_boxes, parse_boxes
from refldm_core.face.selection import parse_indices
from refldm_core.paths import path_inside, require_plain
from refldm_core.ranges import Range, check_ranges
from refldm_core.training.config_file import as_yaml, read_spec
from refldm_core.training.spec import TrainSpec
from refldm_core.yaml_text import YamlError, read_yaml

from ..cases import Action, Case, Reader, require
from ..examples import example
from ..mutation import mutate
from .whole_files import file_reader


def read(path: Path) -> str:
    """Read YAML, and return its values as text."""
    try:
        content = read_yaml(path)
    except YamlError as error:
        text = str(error)
        require(text and "\n" not in text and len(text) < 400, f"the message is {text[:200]!r}")
        raise OutOfRangeError("file", "no YAML", "YAML") from error  # callers turn it into an error of their own
    require(_is_plain(content), "a value is of another type")
    return repr(content)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set)):
        return all(map(_is_plain, value))
    return isinstance(value, (str, bytes, int, float, bool, type(None), datetime.date, datetime.datetime))


_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates(), st.binary(max_size=4)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=12,
)


def _prepare_yaml(case: Case) -> Action:
    value = example(case, _values)
    path = case.folder / "values.yaml"
    text = yaml.safe_dump(value, allow_unicode=case.number % 2 == 0)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    def action() -> None:
        content = read_yaml(path)
        require(repr(content) == repr(yaml.safe_load(text)), "the values differ from PyYAML's")

    return action


_odd = st.one_of(
    st.integers(), st.floats(), st.text(max_size=6), st.none(), st.booleans(), st.lists(st.integers(), max_size=3),
    st.sampled_from([0, -1, 2**31, 2**63, 10**30, "1e-4", "nan", "auto", 1e308, {}, "x" * 500]),
)  # fmt: skip


_ODD_NUMBERS = (0, -1, 1, 2, 0.5, -0.5, 1.5, 2**31, 2**63, 10**30, 1e308, -1e308, 1e-320, "1e-4", 100, 1000)


def read_training(path: Path) -> None:
    """Read the config of a training, write it and read it again."""
    spec = read_spec(path)
    check_all(spec)
    copy = path.with_name("again.yaml")
    copy.write_text(as_yaml(spec), encoding="utf-8")
    require(read_spec(copy) == spec, "written and read again, it is another config")
    copy.unlink()


def check_all(spec: Any) -> None:
    """Require that all numbers of a config and of its sections are finite and within their ranges."""
    check_ranges(spec)
    for value in vars(spec).values():
        if hasattr(value, "__dataclass_fields__"):
            check_all(value)
        elif isinstance(value, float):
            require(math.isfinite(value), "a number is not finite")


def _prepare_training(case: Case) -> Action:
    random = case.random
    defaults = yaml.safe_load(as_yaml(TrainSpec(random.choice(("first_stage", "refldm", "recognizer")), "out")))
    value = example(case, _odd)
    for _ in range(random.choice((1, 1, 2))):
        section = defaults
        while True:
            key = random.choice(sorted(section))
            if isinstance(section[key], dict) and section[key] and random.random() < 0.9:
                section = section[key]
                continue
            is_number = isinstance(section[key], (int, float)) and random.random() < 0.7
            section[key] = random.choice(_ODD_NUMBERS) if is_number else value
            break
    path = case.folder / "run.yaml"
    content = yaml.safe_dump(defaults).encode(errors="surrogatepass")
    path.write_bytes(mutate(content, random) if random.random() < 0.2 else content)
    return lambda: read_training(path)


_range_cases = st.tuples(
    st.integers(-5, 5), st.integers(0, 10), st.booleans(),
    st.one_of(
        st.integers(), st.floats(), st.text(max_size=12), st.none(), st.booleans(), st.binary(max_size=4),
        st.integers(-6, 16).map(str), st.floats(-6, 16).map(repr),
        st.sampled_from(["\uff11", "1_0", " 3 ", "1e400", "-0", "0x1", "1" * 5000, 10**400, [1], {1: 2}, 1 + 2j]),
    ),
)  # fmt: skip


def _prepare_range(case: Case) -> Action:
    low, width, whole, value = example(case, _range_cases)
    allowed = Range(low, low + width, whole)

    def action() -> None:
        number = allowed.number("value", value)
        require(type(number) is (int if whole else float) and low <= number <= low + width, f"{number!r} is outside")
        require(not isinstance(value, bool) and float(value) == number, f"{value!r} became {number!r}")

    return action


_parts = st.one_of(
    st.sampled_from(
        ["..", ".", "a", "b.png", "", " ", "...", "con", "NUL.txt", "C:", "~", "$HOME", "ü", "x" * 300, "link"]
    ),
    st.text(max_size=5),
)
_names: st.SearchStrategy[Any] = st.one_of(
    st.lists(_parts, min_size=1, max_size=6).map("/".join),
    st.lists(_parts, min_size=1, max_size=4).map("\\".join),
    st.text(max_size=10), st.integers(), st.none(), st.binary(max_size=4),
)  # fmt: skip


def _prepare_name(case: Case) -> Action:
    name = example(case, _names)
    inside, outside = case.folder / "inside", case.folder / "outside"
    inside.mkdir()
    outside.mkdir()
    try:
        (inside / "link").symlink_to(outside, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        (inside / "link").mkdir()

    def action() -> None:
        require_plain(name, "a test")
        path = path_inside(inside, name, "a test")
        require(path.parent.resolve().is_relative_to(inside.resolve()), f"{name!r} leads out of its folder")
        for parts in (PurePosixPath(name).parts, PureWindowsPath(name).parts):
            require(".." not in parts and not PureWindowsPath(name).drive and "\0" not in name, f"{name!r} is accepted")

    return action


_lists = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.one_of(st.integers(-2, 10**6).map(str), st.text(max_size=4), st.just("2-5"), st.just("0-99999999999"))
    ).map(",".join),
    st.lists(st.floats().map(repr), min_size=3, max_size=5).map(lambda numbers: "0: " + ",".join(numbers)),
    st.text("0123456789,:;.- e\n", max_size=40),
)
_boxes: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.floats(), st.text(max_size=3),
        st.dictionaries(st.sampled_from(["x", "y", "width", "height", "label"]), st.one_of(_odd, st.floats(0, 60))),
        st.fixed_dictionaries({name: st.floats(-10, 70) for name in ("x", "y", "width", "height")}),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _prepare_list(case: Case) -> Action:
    text, boxes = example(case, _lists_and_boxes)
    sizes = [(48, 64), (24, 32)]

    def action() -> None:
        if case.number % 3 == 0:
            indices = parse_indices(text)
            require(indices is None or all(index >= 0 for index in indices), f"{text!r} gives {indices}")
            return
        for box in added_boxes(text, sizes) if case.number % 3 == 1 else parse_boxes(boxes, sizes):
            require(all(map(math.isfinite, box.box)) and box.frame in (0, 1), f"a box is {box}")

    return action


_lists_and_boxes = st.tuples(_lists, _boxes)


READERS = [
    file_reader("YAML", "yaml", "*.yaml", read, share=12),
    Reader("YAML values", _prepare_yaml, 8),
    file_reader("training config file", "run", "*.yaml", read_training, share=6),
    Reader("training config", _prepare_training, 12),
    Reader("ranges", _prepare_range, 8),
    Reader("names", _prepare_name, 8),
    Reader("lists and boxes", _prepare_list, 8),
]
