"""The host's progress bar, with a preview of the current picture."""
# pyright: reportMissingImports=false

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import comfy.model_management
import comfy.utils
from torch import Tensor

from ...refldm_core.images import to_pil

_LONGEST = 512  # pixels along the longer side of a preview
_PAUSE = 0.2  # seconds between previews, so that previews do not slow down a quick batch


class Progress:
    """The progress bar of the node that runs.

    Args:
        total: Number of steps of the work.
    """

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)
        self._total = total
        self._last_preview = -_PAUSE

    def show(self, done: int, picture: Tensor | None = None) -> None:
        """Show how many steps are done, and stop the node if the user has interrupted it.

        Args:
            done: Number of finished steps.
            picture: (3, height, width) in [-1, 1] for the preview, or None.

        Raises:
            Exception: the host's InterruptProcessingException, if the user has interrupted the run.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        preview = None
        if picture is not None and time.monotonic() - self._last_preview >= _PAUSE:
            self._last_preview = time.monotonic()
            stride = max(1, max(picture.shape[1:]) // (2 * _LONGEST))  # a preview need not be smooth
            preview = ("JPEG", to_pil(picture[:, ::stride, ::stride], rounded=True), _LONGEST)
        self._bar.update_absolute(done, self._total, preview)


def with_progress(pictures: Iterable[tuple[str, Tensor]], total: int) -> Iterator[tuple[str, Tensor]]:
    """Yield named pictures (3, height, width) in [-1, 1] one by one, and show each one while the caller works on it."""
    progress = Progress(total)
    for done, (name, picture) in enumerate(pictures):
        progress.show(done, picture)
        yield name, picture
    progress.show(total)
