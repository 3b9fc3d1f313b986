"""Run each test of this folder on a simulated GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.common.simulated_gpu import simulated_gpu


@pytest.fixture(autouse=True, scope="module")
def gpu() -> Iterator[None]:
    """Use fake tensors in all these tests, on a simulated GPU."""
    with simulated_gpu():
        yield
