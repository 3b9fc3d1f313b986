"""What a node says besides its results: in the console, and on the node itself."""
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Mapping

from comfy_execution.utils import get_executing_context

from ...refldm_core.checkpoints.training_data import caution

_REMEDY = "For photos choose refldm.ckpt, insightface and buffalo_l in the loader nodes."

_log = logging.getLogger(__name__)


def warn_of_training(metadata: Mapping[str, Mapping[str, str]], *lines: str) -> None:
    """Say which kind of pictures models know, where that is one kind only; call it while a node runs.

    Args:
        metadata: see `caution`.
        lines: what else the node says, since a later text replaces an earlier one.
    """
    warning = caution(metadata)
    if warning:
        _log.warning("ReF-LDM: %s %s", warning, _REMEDY)
        lines = (*lines, f"{warning} {_REMEDY}")
    tell(*lines)


def tell(*lines: str) -> None:
    """Show lines of text on the node that runs; nothing where there are none."""
    if not lines:
        return
    from server import PromptServer  # noqa: PLC0415  # only a running node has a server

    # The hidden input unique_id would give the node id too, but it would become part of the host's cache key.
    context = get_executing_context()
    if context is not None:
        PromptServer.instance.send_progress_text("\n".join(lines), context.node_id)
