"""Structured inputs by hypothesis, as examples that depend only on a seed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from .cases import Case

_BATCH = 40
"""Examples that are made together. Hypothesis begins each batch with simple ones."""


def example(case: Case, strategy: SearchStrategy[Any]) -> Any:
    """Return the example of a case."""
    batch, position = divmod(case.number, _BATCH)
    made = _examples(strategy, f"{case.seed}/{case.reader}/{batch}")
    return made[position % len(made)]


@lru_cache(maxsize=64)
def _examples(strategy: SearchStrategy[Any], key: str) -> list[Any]:
    made: list[Any] = []

    @seed(key)
    @settings(
        max_examples=_BATCH,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        made.append(value)

    collect()
    return made
