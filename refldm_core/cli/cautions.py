"""The warning about models that were trained on one kind of pictures only."""

from __future__ import annotations

from collections.abc import Mapping

from ..checkpoints.training_data import caution
from .output import Output

_REMEDY = "For photos leave out --model, --detector and --recognizer, and see `refldm download --help`."


def warn(output: Output, metadata: Mapping[str, Mapping[str, str]]) -> str | None:
    """Print the warning on standard error. The demo does not need it, since its pictures are of that kind.

    Args:
        output: Output of the command.
        metadata: See `caution`.

    Returns:
        The warning, for the command's report; None where there is nothing to warn of.
    """
    warning = caution(metadata)
    if not warning:
        return None
    output.remark(f"Warning: {warning} {_REMEDY}")
    return warning
