"""The list of published weights."""

from __future__ import annotations

import re

from refldm_core.face import weights


def test_every_file_has_an_address_of_its_authors_and_a_complete_hash():
    files = [value for value in vars(weights).values() if isinstance(value, weights.FaceWeights)]
    assert len(files) == 7
    for file in files:
        assert file.url.startswith(
            ("https://github.com/xinntao/facexlib/", "https://github.com/deepinsight/insightface/")
        )
        assert file.url.endswith(f"/{file.name}")
        assert all(re.fullmatch("[0-9a-f]{64}", h) for h in (file.sha256, *dict(file.members).values()))
        assert file.size > 1_000_000
