"""The small models that come with the package, where this checkout has them."""

from __future__ import annotations

import pytest

from refldm_core.checkpoints.reading import read_tensors
from refldm_core.checkpoints.training_data import TRAINED_ON_KEY
from refldm_core.embedded import DETECTOR, RECOGNIZER, RESTORER

MISSING = [path.name for path in (RESTORER, DETECTOR, RECOGNIZER) if not path.is_file()]

needs_embedded = pytest.mark.skipif(
    bool(MISSING), reason=f"refldm_core/embedded lacks {', '.join(MISSING)}: train and install the embedded models"
)


def trained_on() -> str:
    """What the embedded restorer says that it was trained on."""
    return read_tensors(RESTORER).metadata[TRAINED_ON_KEY]
