"""Read the YAML config of a run into a `TrainSpec`, naming every mistake, and write the complete config."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import yaml

from ..errors import OutOfRangeError, shorten
from ..yaml_text import YamlError, parse_yaml, read_yaml
from .spec import TrainSpec
from .task import TrainingError


def read_spec(path: Path, changes: Sequence[str] = ()) -> TrainSpec:
    """Read the config of a run.

    Args:
        path: YAML file.
        changes: "section.key=value" from the command line. They take precedence over the file.

    Raises:
        TrainingError: the file cannot be read, a key is unknown (the message names the most similar key), or a value
            has the wrong type.
    """
    try:
        content = read_yaml(path) or {}
    except (OSError, YamlError) as error:
        raise TrainingError(
            f"The config {path} cannot be read ({str(error).splitlines()[0]}).",
            expected="a YAML file",
            remedy="see the files in the folder training for an example of each task",
        ) from error
    values = _section("", content, str(path))
    for change in changes:
        _apply_change(values, change)
    return cast(TrainSpec, _build(TrainSpec, values, "", str(path)))


def as_yaml(spec: TrainSpec) -> str:
    """Return the complete config as YAML, including every default."""
    values = _plain(asdict(spec))
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    # PyYAML writes some line breaks of Unicode, such as U+0085, so that it reads them back as spaces.
    return text if yaml.safe_load(text) == values else yaml.safe_dump(values, sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast(Mapping[str, Any], value).items()}
    return [_plain(item) for item in cast(Iterable[Any], value)] if isinstance(value, tuple | list) else value


def _apply_change(values: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *sections, key = name.split(".")
    if not equals or not all([*sections, key]):
        raise TrainingError(
            f'"{change}" is no change of the config.', expected="section.key=value", remedy="see --help"
        )
    for section in sections:
        values = _section(name, values.setdefault(section, {}), "--set")
    try:
        values[key] = parse_yaml(text)
    except YamlError as error:
        raise TrainingError(
            f"{name} cannot be set to {shorten(text)} ({error}).", expected="a value as in YAML", remedy="see --help"
        ) from error


def _build(kind: Any, value: Any, name: str, source: str) -> Any:
    """Return the value of type `kind` that a value from YAML means."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, name, source)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _wrong_value(name, value, "one of " + ", ".join(map(str, get_args(kind))), source)
    if origin is tuple:
        inner = get_args(kind)
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(cast(list[Any], value)) != len(inner)):
            raise _wrong_value(name, value, f"a list of {'numbers' if inner[-1] is Ellipsis else len(inner)}", source)
        return tuple(_build(inner[0], item, name, source) for item in cast(list[Any], value))
    if origin is not None:  # a union
        for choice in get_args(kind):
            try:
                return _build(choice, value, name, source)
            except TrainingError:
                if is_dataclass(choice) and isinstance(value, dict):  # this error says more than the one below
                    raise
        raise _wrong_value(name, value, str(kind).replace("typing.", ""), source)
    number = _finite_number(value) if kind is float else None
    if number is not None:
        return number
    if type(value) is kind and kind is not float:
        return value
    raise _wrong_value(
        name,
        value,
        {"int": "a whole number", "float": "a finite number", "str": "text"}.get(kind.__name__, "true or false"),
        source,
    )


def _finite_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:  # YAML 1.1 reads 1e-4 as text
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _build_dataclass(kind: Any, value: Any, name: str, source: str) -> Any:
    values = _section(name, value, source)
    types = get_type_hints(kind)
    keys = [attribute.name for attribute in fields(kind)]
    for key in values:
        if key not in keys:
            raise _unknown_key(f"{name}.{key}".lstrip("."), str(key), keys, source)
    missing = [required for required in ("task", "output") if kind is TrainSpec and required not in values]
    if missing:
        raise TrainingError(
            f"{source} does not say its {missing[0]}.",
            expected="a task (first_stage, ldm, refldm, recognizer or detector) and an output folder",
            remedy=f"add a line {missing[0]}: ...",
        )
    built = {key: _build(types[key], item, f"{name}.{key}".lstrip("."), source) for key, item in values.items()}
    try:
        return kind(**built)
    except OutOfRangeError as error:
        raise _wrong_value(
            f"{name}.{error.name}".lstrip("."), built.get(error.name, error.value), error.expected, source
        ) from error


def _section(name: str, value: object, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_value(name, value, "a section of keys and values", source)
    return cast(dict[str, Any], value)


def _unknown_key(name: str, key: str, keys: Sequence[str], source: str) -> TrainingError:
    similar = difflib.get_close_matches(key, keys, 1, cutoff=0.4)
    hint = f"did you mean {similar[0]}?" if similar else f"known here: {', '.join(keys)}"
    return TrainingError(f"{source} has the unknown key {name[:80]}.", expected=hint, remedy="correct its name")


def _wrong_value(name: str, value: Any, expected: str, source: str) -> TrainingError:
    return TrainingError(
        f"{source}: {name or 'the config'} is {shorten(value)}.", expected=expected, remedy="correct the value"
    )
