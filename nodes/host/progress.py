"""The host's progress bar.

It shows no previews: the page keeps the last preview of a node in place of the pictures that the node shows at its end.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import comfy.model_management
import comfy.utils

Item = TypeVar("Item")


class Progress:
    """The progress bar of the node that runs.

    Args:
        total: Number of steps of the work.
    """

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)
        self._total = total

    def show(self, done: int) -> None:
        """Show how many steps are done, and stop the node if the user has interrupted it.

        Raises:
            Exception: the host's InterruptProcessingException, if the user has interrupted the run.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update_absolute(done, self._total)


def with_progress(items: Iterable[Item], total: int) -> Iterator[Item]:
    """Yield items one by one, and show the progress while the caller works on them. There are `total` items."""
    progress = Progress(total)
    for done, item in enumerate(items):
        progress.show(done)
        yield item
    progress.show(total)
