"""Link this pack into an existing ComfyUI.

examples:
  refldm comfyui ~/ComfyUI
      Links the pack. Restart ComfyUI afterwards. The nodes are in the category ReF-LDM.
  refldm comfyui ~/ComfyUI --examples
      Also copies the pictures and the video that the workflows ask for into ComfyUI's folder input, so that each
      workflow runs at once with the small models. Existing files stay as they are.

The link is made in custom_nodes, so an update of this checkout also updates the nodes. To remove the nodes, delete the
link as you delete a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="ComfyUI's folder, which holds main.py")
    parser.add_argument(
        "--examples", action="store_true", help="copy the workflows' example pictures into ComfyUI's folder input"
    )
