from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.common.simulated_gpu import simulated_gpu


@pytest.fixture(autouse=True, scope="module")
def gpu() -> Iterator[None]:
    """Every tensor of these tests is fake."""
    with simulated_gpu():
        yield
