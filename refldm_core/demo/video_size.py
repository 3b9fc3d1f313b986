"""The size of the demo's video. This module imports no library, so that the command line shows it at once."""

from __future__ import annotations

FRAMES, RATE, SIDE = 24, 12.0, 320
"""Number of frames, frames in each second, and pixels along a side."""
