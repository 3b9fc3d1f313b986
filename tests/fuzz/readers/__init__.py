"""Every reader by name."""

from __future__ import annotations

from ..cases import Reader
from . import commands, models, networks, pictures, references, runs, tables, texts, training_command, weights

READERS: dict[str, Reader] = {
    reader.name: reader
    for module in (weights, references, models, networks, pictures, texts, tables, runs, commands, training_command)
    for reader in module.READERS
}
