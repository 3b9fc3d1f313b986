"""The YAML file of a run's config: read into a `TrainSpec` with every mistake named, and written in full."""

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

from ..errors import OutOfRangeError, shortened
from ..yaml_text import YamlError, parse_yaml, read_yaml
from .spec import TrainSpec
from .task import TrainingError


def read_spec(path: Path, changes: Sequence[str] = ()) -> TrainSpec:
    """Read a run's YAML.

    Args:
        path: of the file.
        changes: "section.key=value" from the command line, which win over the file.

    Raises:
        TrainingError: a file that cannot be read, a key that nothing knows (the message names the nearest one), or a
            value of another type.
    """
    try:
        content = read_yaml(path) or {}
    except (OSError, YamlError) as error:
        raise TrainingError(
            f"The config {path} cannot be read ({str(error).splitlines()[0]}).",
            expected="a YAML file",
            remedy="see docs/training.md for an example of each task",
        ) from error
    values = _section("", content, str(path))
    for change in changes:
        _apply(values, change)
    return cast(TrainSpec, _build(TrainSpec, values, "", str(path)))


def as_yaml(spec: TrainSpec) -> str:
    """The effective config, every default spelled out."""
    return yaml.safe_dump(_plain(asdict(spec)), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast(Mapping[str, Any], value).items()}
    return [_plain(item) for item in cast(Iterable[Any], value)] if isinstance(value, tuple | list) else value


def _apply(values: dict[str, Any], change: str) -> None:
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
            f"{name} cannot be set to {shortened(text)} ({error}).", expected="a value as in YAML", remedy="see --help"
        ) from error


def _build(kind: Any, value: Any, name: str, source: str) -> Any:
    """A value of a type from what YAML gave."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, name, source)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _wrong(name, value, "one of " + ", ".join(map(str, get_args(kind))), source)
    if origin is tuple:
        inner = get_args(kind)
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(cast(list[Any], value)) != len(inner)):
            raise _wrong(name, value, f"a list of {'numbers' if inner[-1] is Ellipsis else len(inner)}", source)
        return tuple(_build(inner[0], item, name, source) for item in cast(list[Any], value))
    if origin is not None:  # a union
        for choice in get_args(kind):
            try:
                return _build(choice, value, name, source)
            except TrainingError:
                if is_dataclass(choice) and isinstance(value, dict):  # its error says more
                    raise
        raise _wrong(name, value, str(kind).replace("typing.", ""), source)
    number = _finite(value) if kind is float else None
    if number is not None:
        return number
    if type(value) is kind and kind is not float:
        return value
    raise _wrong(
        name,
        value,
        {"int": "a whole number", "float": "a finite number", "str": "text"}.get(kind.__name__, "true or false"),
        source,
    )


def _finite(value: Any) -> float | None:
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
    known = [each.name for each in fields(kind)]
    for key in values:
        if key not in known:
            raise _unknown(f"{name}.{key}".lstrip("."), str(key), known, source)
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
        raise _wrong(
            f"{name}.{error.name}".lstrip("."), built.get(error.name, error.value), error.expected, source
        ) from error


def _section(name: str, value: object, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value, "a section of keys and values", source)
    return cast(dict[str, Any], value)


def _unknown(name: str, key: str, known: Sequence[str], source: str) -> TrainingError:
    near = difflib.get_close_matches(key, known, 1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return TrainingError(
        f"{source} has the key {name[:80]}, which means nothing.", expected=hint, remedy="correct its name"
    )


def _wrong(name: str, value: Any, expected: str, source: str) -> TrainingError:
    return TrainingError(
        f"{source}: {name or 'the config'} is {shortened(value)}.", expected=expected, remedy="correct the value"
    )
