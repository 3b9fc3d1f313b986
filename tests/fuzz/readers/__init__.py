"""Every reader by name."""

from __future__ import annotations

from ..cases import Reader
from . import commands, models, networks, pictures, references, runs, tables, texts, weights

READERS: dict[str, Reader] = {
    reader.name: reader
    for module in (weights, references, models, networks, pictures, texts, tables, runs, commands)
    for reader in module.READERS
}
