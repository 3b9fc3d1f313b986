"""The packages that only the evaluation needs. They are imported at their first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..face.errors import MissingPackageError


def require(module: str) -> Any:
    """Import a module of the extra `evaluate`.

    Raises:
        MissingPackageError: The package is not installed, or cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{module.partition('.')[0]} cannot be imported ({error}).",
            expected="the packages of the evaluation",
            remedy='run `pip install -e ".[evaluate]"` in the folder of the project',
        ) from error
