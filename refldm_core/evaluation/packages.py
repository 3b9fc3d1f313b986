"""The packages that only the evaluation needs. They are imported at their first use."""

from __future__ import annotations

from typing import Any

from ..face.packages import import_or_explain


def require(module: str) -> Any:
    """Import a module of the extra `evaluate`.

    Raises:
        MissingPackageError: The package is not installed, or cannot be imported.
    """
    return import_or_explain(
        module,
        expected="the packages of the evaluation",
        remedy='run `pip install -e ".[evaluate]"` in the folder of the project',
    )
