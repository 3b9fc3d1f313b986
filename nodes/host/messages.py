"""Messages of a node in the console and on the node itself."""
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Mapping

from comfy_execution.utils import get_executing_context

from ...refldm_core.checkpoints.training_data import caution

_REMEDY = "For photos choose refldm.ckpt, insightface and buffalo_l in the loader nodes."

_log = logging.getLogger(__name__)


def warn_of_training(metadata: Mapping[str, Mapping[str, str]], *lines: str) -> None:
    """Warn if models were trained on one kind of pictures only. The function must be called while a node runs.

    Args:
        metadata: Metadata of the models, see `caution`.
        lines: Further lines of the node. They are shown together, since a later text replaces an earlier one.
    """
    warning = caution(metadata)
    if warning:
        _log.warning("ReF-LDM: %s %s", warning, _REMEDY)
        lines = (*lines, f"{warning} {_REMEDY}")
    show_text(*lines)


def show_text(*lines: str) -> None:
    """Show lines of text on the node that runs. Without lines, do nothing."""
    if not lines:
        return
    from server import PromptServer  # noqa: PLC0415  # only a running node has a server

    # The hidden input unique_id also holds the node's id, but it would become part of the host's cache key.
    context = get_executing_context()
    if context is not None:
        PromptServer.instance.send_progress_text("\n".join(lines), context.node_id)
