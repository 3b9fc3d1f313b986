"""What a command says of models that know one kind of pictures only."""

from __future__ import annotations

from collections.abc import Mapping

from ..checkpoints.training_data import caution
from .output import Output

_REMEDY = "For photos leave out --model, --detector and --recognizer, and see `refldm download --help`."


def warn(output: Output, metadata: Mapping[str, Mapping[str, str]]) -> str | None:
    """Say it on standard error; the demo alone, whose pictures are of that kind, has no need to.

    Args:
        output: of the command.
        metadata: see `caution`.

    Returns:
        What was said, for the command's report; None where there is nothing to say.
    """
    warning = caution(metadata)
    if not warning:
        return None
    output.remark(f"Warning: {warning} {_REMEDY}")
    return warning
