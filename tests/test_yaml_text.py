"""Hostile YAML is refused with a short message in bounded time, and plain YAML is read."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from refldm_core.yaml_text import YamlError, parse_yaml, read_yaml


def _aliases(last: str) -> str:
    """Return YAML of twelve levels. Each repeats the level before nine times, which gives 9**11 copies of the last."""
    levels = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))
    return "\n".join([f"a0: &a0 {last}", *levels])


HOSTILE = {
    "alias bomb": (_aliases("[x, x, x]"), "more than 10,000 values"),
    "merge bomb": (_aliases("{k: v}").replace("[*", "{<<: [*").replace("]", "]}"), "more than 10,000 values"),
    "itself": ("a: &a [1, *a]", "holds itself"),
    "flow nesting": ("[" * 100_000, "nested more than 32 deep"),
    "block nesting": ("- " * 5000 + "1", "nested more than 32 deep"),
    "many values": ("[" + "1," * 50_000 + "]", "more than 10,000 values"),
    "long text": ("a: " + "x" * 200_000, "more than 10,000 characters"),
    "long number": ("a: " + "9" * 5000, "a number has more than 100 characters"),
    "long sexagesimal": ("a: " + "1:" * 3000 + "1", "a number has more than 100 characters"),
    "a date that does not exist": ("a: 2024-13-45", "does not fit its type"),
    "no timestamp": ("a: !!timestamp never", "does not fit its type"),
    "no number": ("a: !!int hello", "does not fit its type"),
    "no truth": ("a: !!bool maybe", "does not fit its type"),
    "code": ("a: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
    "unfinished": ("a: [", "while parsing"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_refused(case: str) -> None:
    text, message = HOSTILE[case]
    begin = time.monotonic()
    with pytest.raises(YamlError, match=message) as caught:
        parse_yaml(text)
    assert time.monotonic() - begin < 10.0
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_plain_text_is_parsed() -> None:
    text = "a: &a [1, 2.5, 1e-4]\nb: *a\nc: {<<: {d: true}, e: ~}\nf: 2024-01-02"
    numbers = [1, 2.5, "1e-4"]
    assert parse_yaml(text) == {"a": numbers, "b": numbers, "c": {"d": True, "e": None}, "f": date(2024, 1, 2)}


def test_a_file_must_be_short_and_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(YamlError, match="not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(YamlError, match="more than 262,144 bytes"):
        read_yaml(path)
    path.write_text("\ufeffa: 1", encoding="utf-8")
    assert read_yaml(path) == {"a": 1}
