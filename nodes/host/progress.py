"""The host's progress bar with a picture of what is worked on."""
# pyright: reportMissingImports=false

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import comfy.model_management
import comfy.utils
from torch import Tensor

from ...refldm_core.images import to_pil

_LONGEST = 512  # pixels of a preview
_PAUSE = 0.2  # seconds between previews, so that a quick batch is not slowed down by them


class Progress:
    """Moves the bar of the node that runs.

    Args:
        total: steps of the work.
    """

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)
        self._total = total
        self._last_preview = -_PAUSE

    def show(self, done: int, picture: Tensor | None = None) -> None:
        """Say how many steps are done; raises where the user interrupts.

        Args:
            done: finished steps.
            picture: (3, height, width) in [-1, 1], or None.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        preview = None
        if picture is not None and time.monotonic() - self._last_preview >= _PAUSE:
            self._last_preview = time.monotonic()
            stride = max(1, max(picture.shape[1:]) // (2 * _LONGEST))  # a preview need not be smooth
            preview = ("JPEG", to_pil(picture[:, ::stride, ::stride], rounded=True), _LONGEST)
        self._bar.update_absolute(done, self._total, preview)


def with_progress(pictures: Iterable[tuple[str, Tensor]], total: int) -> Iterator[tuple[str, Tensor]]:
    """Named pictures (3, height, width) in [-1, 1], one after the other; each is shown while it is worked on."""
    progress = Progress(total)
    for done, (name, picture) in enumerate(pictures):
        progress.show(done, picture)
        yield name, picture
    progress.show(total)
