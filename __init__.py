"""ReF-LDM for ComfyUI: restores a face to that person's own likeness, guided by a few photos of them.

ComfyUI imports this file and asks it for the nodes. Until then nothing is imported, so that tools may import it where
there is no ComfyUI.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./js"


async def comfy_entrypoint() -> Any:
    """The extension that ComfyUI (0.3.64 or newer) loads the nodes from."""
    from .nodes.extension import ReFLDMExtension  # noqa: PLC0415  # there is no host where others import this file

    return ReFLDMExtension()
