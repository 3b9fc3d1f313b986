"""A file of the scores of many people. It can be continued, and merged from several processes."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from refldm_core.errors import SettingsError
from refldm_core.evaluation.statistics import Values
from refldm_core.files import atomic_write

from .protocol import PersonScores


@dataclass
class Run:
    """The scores of one model, measured by one or several processes.

    Attributes:
        about: the model, the protocol and its settings, as JSON values. Only runs in which it is equal are merged.
        machine: name of the machine that restored the faces.
        people: seed of a person -> scores.
        seconds: time spent on restoring.
        faces: number of faces restored in that time.
    """

    about: dict[str, Any]
    machine: str
    people: dict[int, PersonScores] = field(default_factory=dict[int, PersonScores])
    seconds: float = 0.0
    faces: int = 0

    def column(self, picture: str, metric: str) -> Values:
        """Return one metric of one picture for all people, in the order of their seeds."""
        return [self.people[seed].get(picture, {}).get(metric) for seed in sorted(self.people)]

    def of(self, people: Sequence[int]) -> Run:
        """Return the run with a part of the people only."""
        return Run(self.about, self.machine, {seed: self.people[seed] for seed in people}, self.seconds, self.faces)

    def write(self, path: Path) -> None:
        """Write the run to a file, or replace it.

        Raises:
            OutputError: the file cannot be written. It is then unchanged.
        """
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """Read a file of `Run.write`.

    Raises:
        SettingsError: the file does not exist, or is of another kind.
    """
    with _explained_reading(path):
        data = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
        people = {int(seed): cast(PersonScores, scores) for seed, scores in data["people"].items()}
        return Run(data["about"], data["machine"], people, float(data["seconds"]), int(data["faces"]))


def read_scores(path: Path) -> dict[str, Any]:
    """Read what the files of scores of all benchmarks of restored people have: about, machine and people.

    Raises:
        SettingsError: the file does not exist, or is of another kind.
    """
    with _explained_reading(path):
        data = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
        return {"about": dict(data["about"]), "machine": str(data["machine"]), "people": dict(data["people"])}


@contextmanager
def _explained_reading(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a file of scores ({error!r}).",
            expected="a file that this benchmark wrote with --json",
            remedy="name another file, or evaluate again",
        ) from error


def merge(runs: Sequence[Run]) -> Run:
    """Merge several runs of one model.

    Raises:
        SettingsError: the runs are of different models or settings.
    """
    first, *later_runs = runs
    machines = list(dict.fromkeys(run.machine for run in runs))
    merged = Run(first.about, "; ".join(machines), dict(first.people), first.seconds, first.faces)
    for run in later_runs:
        require_same(first.about, run.about)
        merged.people.update(run.people)
        merged.seconds += run.seconds
        merged.faces += run.faces
    return merged


def require_same(first: dict[str, Any], second: dict[str, Any], *, other_model: bool = False) -> None:
    """Check that two runs have the same settings.

    Args:
        first, second: `about` of each run.
        other_model: whether the models may differ.

    Raises:
        SettingsError: the settings differ; it names which.
    """
    names = [name for name in {**first, **second} if not (other_model and name == "model")]
    differences = [
        f"{name}: {first.get(name)} and {second.get(name)}" for name in names if first.get(name) != second.get(name)
    ]
    if differences:
        raise SettingsError(
            "These scores were not found under the same conditions: " + "; ".join(differences) + ".",
            expected="the same people, settings and recognizers" + ("" if other_model else ", and the same model"),
            remedy="evaluate again with the same options",
        )
