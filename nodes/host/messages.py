"""What a node says besides its results: in the console, and on the node itself."""
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Mapping

from comfy_execution.utils import get_executing_context

from ...refldm_core.checkpoints.training_data import caution

_REMEDY = "For photos choose refldm.ckpt, insightface and buffalo_l in the loader nodes."

_log = logging.getLogger(__name__)


def warn_of_training(metadata: Mapping[str, Mapping[str, str]]) -> None:
    """Say which kind of pictures models know, where that is one kind only; call it while a node runs.

    Args:
        metadata: see `caution`.
    """
    warning = caution(metadata)
    if not warning:
        return
    _log.warning("ReF-LDM: %s %s", warning, _REMEDY)
    from server import PromptServer  # noqa: PLC0415  # starting a server is not for who only imports the nodes

    # Not the hidden input unique_id, with which a node of another number would not find what the host has cached.
    context = get_executing_context()
    if context is not None:
        PromptServer.instance.send_progress_text(f"{warning} {_REMEDY}", context.node_id)
