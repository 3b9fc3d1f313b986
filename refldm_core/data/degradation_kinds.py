"""The kinds of degradation. This module imports no library, so that the command line shows the choices at once."""

from __future__ import annotations

from typing import Literal

Kind = Literal["moderate", "severe", "training"]
