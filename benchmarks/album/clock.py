"""Seconds of a program by stage. A stage inside another one is counted only for itself."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

REMAINING = "remaining work"


class StageClock:
    """Adds up wall and processor seconds of the innermost stage.

    Attributes:
        wall, processor: stage -> seconds. Processor seconds are of all threads of this process.
    """

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self._stages = [REMAINING]
        self._last = (time.perf_counter(), time.process_time())

    @contextmanager
    def stage(self, name: str, *, unless_in: str | None = None) -> Generator[None, None, None]:
        """Count the block as a stage, or as a part of the stage `unless_in` if that is running."""
        self.charge()
        self._stages.append(unless_in if unless_in in self._stages else name)
        try:
            yield
        finally:
            self.charge()
            self._stages.pop()

    def rename(self, name: str) -> None:
        """Give the running stage another name from here on."""
        self.charge()
        self._stages[-1] = name

    def charge(self) -> None:
        """Add the seconds since the last call to the running stage."""
        last, self._last = self._last, (time.perf_counter(), time.process_time())
        self.wall[self._stages[-1]] += self._last[0] - last[0]
        self.processor[self._stages[-1]] += self._last[1] - last[1]

    def watch(self, owner: Any, attribute: str, name: str, *, unless_in: str | None = None) -> None:
        """Count every call of a function of a module or class as a stage."""
        function: Callable[..., Any] = getattr(owner, attribute)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name, unless_in=unless_in):
                return function(*args, **kwargs)

        setattr(owner, attribute, watched)
