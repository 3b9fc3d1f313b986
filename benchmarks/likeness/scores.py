"""Scores of many people in a file: written while they are found, continued, and joined from several processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from refldm_core.errors import SettingsError
from refldm_core.evaluation.statistics import Values
from refldm_core.files import atomic_write

from .protocol import PersonScores


@dataclass
class Run:
    """What one or several processes found out about one model.

    Attributes:
        about: the model, the protocol and its settings, as plain data; runs are joined only where it is the same.
        machine: where the restoring was done.
        people: seed -> scores.
        seconds: spent on restoring.
        faces: restored in that time.
    """

    about: dict[str, Any]
    machine: str
    people: dict[int, PersonScores] = field(default_factory=dict[int, PersonScores])
    seconds: float = 0.0
    faces: int = 0

    def column(self, picture: str, metric: str) -> Values:
        """Of all people in the order of their seeds."""
        return [self.people[who].get(picture, {}).get(metric) for who in sorted(self.people)]

    def of(self, people: Sequence[int]) -> Run:
        """The same for some of the people."""
        return Run(self.about, self.machine, {who: self.people[who] for who in people}, self.seconds, self.faces)

    def write(self, path: Path) -> None:
        """Replace a file.

        Raises:
            OutputError: it cannot be written; it is then as it was before.
        """
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """Read what `Run.write` wrote.

    Raises:
        SettingsError: no such file, or another kind of file.
    """
    try:
        data = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
        people = {int(who): cast(PersonScores, scores) for who, scores in data["people"].items()}
        return Run(data["about"], data["machine"], people, float(data["seconds"]), int(data["faces"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a file of scores ({error!r}).",
            expected="a file that this benchmark wrote with --json",
            remedy="name another file, or evaluate again",
        ) from error


def merge(runs: Sequence[Run]) -> Run:
    """The people of several runs of one model.

    Raises:
        SettingsError: runs of different models or settings.
    """
    first, *others = runs
    machines = list(dict.fromkeys(run.machine for run in runs))
    merged = Run(first.about, "; ".join(machines), dict(first.people), first.seconds, first.faces)
    for other in others:
        require_same(first.about, other.about)
        merged.people.update(other.people)
        merged.seconds += other.seconds
        merged.faces += other.faces
    return merged


def require_same(first: dict[str, Any], second: dict[str, Any], *, other_model: bool = False) -> None:
    """Refuse to treat unlike runs alike.

    Args:
        first, second: their `about`.
        other_model: whether the models may be different ones.

    Raises:
        SettingsError: naming what differs.
    """
    names = [name for name in {**first, **second} if not (other_model and name == "model")]
    unlike = [
        f"{name}: {first.get(name)} and {second.get(name)}" for name in names if first.get(name) != second.get(name)
    ]
    if unlike:
        raise SettingsError(
            "These scores were not found under the same conditions: " + "; ".join(unlike) + ".",
            expected="the same people, settings and recognizers" + ("" if other_model else ", and the same model"),
            remedy="evaluate again with the same options",
        )
