"""Loads the pack as ComfyUI does: as a package whose name is not the name of its folder."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

PACK = Path(__file__).parents[2]
NAME = "refldm_pack_under_test"


def load(module: str, package: str = NAME) -> Any:
    """Import a module of the pack that needs no host, such as "nodes.filenames"."""
    if package not in sys.modules:
        spec = spec_from_file_location(package, PACK / "__init__.py", submodule_search_locations=[str(PACK)])
        assert spec is not None and spec.loader is not None
        sys.modules[package] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    return import_module(f"{package}.{module}")
