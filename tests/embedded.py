"""Skip tests of the embedded models in a checkout without them."""

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
    """Return what the embedded restorer was trained on, as its file says."""
    return read_tensors(RESTORER).metadata[TRAINED_ON_KEY]
