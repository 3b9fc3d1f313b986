"""Show every step of the product in a minute, with photos and small models that come with refldm, and no network.

The photos show people who do not exist; this project's own renderer made them. The demo takes the albums of six people
and a group photo of them. It degrades the photo until nobody's details are left. Then it finds the faces, chooses
references from the albums, recognizes the people, restores the faces, and pastes them back. DIR gets a picture of each
stage, and sheet.png, which compares restoring without references, with a wrong person's and with a person's own.

examples:
  refldm demo
      Writes into the folder demo.
  refldm demo --output elsewhere --seed 1
      Uses the other group photo. The seed also chooses the degradation and the noise. The same seed gives the same
      pictures.
  refldm demo --video
      Also renders a video of the first person (this takes a minute or two), degrades it, and restores it without and
      with references. The video is an MP4 file where PyAV is installed, else an animated WebP file.

DIR/input holds the files that the ComfyUI workflows ask for; `refldm comfyui PATH --examples` copies the same files
into ComfyUI's folder input. The small models know rendered people only; for real photos see `refldm download`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...demo.video_size import FRAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo"), metavar="DIR", help="folder for the pictures (default: demo)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the degradation and the noise; even or odd, it also chooses the group photo (default: 0)",
    )
    parser.add_argument("--video", action="store_true", help=f"also render and restore a video of {FRAMES} frames")
    parser.add_argument(
        "--temporal",
        action="store_true",
        help="restore the video with less flicker: with landmarks, crops and colors that are averaged over the frames",
    )
