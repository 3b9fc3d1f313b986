"""Restore faces in photos with references of the same person.

examples:
  refldm restore photo.jpg --reference a.jpg b.jpg c.jpg --output restored.png
      Finds the face in the photo and in the references, restores it, and puts it back into the photo.
  refldm restore album/ --person anna=photos/anna --person ben=photos/ben --output restored/ --resume
      Restores every photo of a folder. Each face gets the references of its own person. Finished photos are skipped.
      This needs a recognizer: `refldm download insightface`.
  refldm restore "scans/*.tif" --reference me/*.jpg --output restored/ --preset balanced
      Restores with fewer steps. The command expands patterns in quotes, also on Windows.
  refldm restore face.png --reference a.png b.png --output restored.png --aligned
      Restores pictures that are aligned face crops, as in FFHQ. They are resized to the model's size.
  refldm restore clip.mp4 --reference a.jpg b.jpg c.jpg --output restored.mp4 --preset video
      Restores a video of any length with its sound, so that the faces do not flicker. It takes long: after Ctrl-C or a
      crash, the same command with --resume goes on.
  accelerate launch -m refldm_core restore archive/ --reference me/*.jpg --output restored/ --resume
      Distributes the photos to all GPUs and machines.

The default preset has the published settings. With --aligned and --dtype float32 the result equals that of the
published script. A reference is a good, sharp photo of the same person. 2 to 5 references are best, since the model was
trained with up to 5. Without references, faces are restored without knowing the person, and without guidance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import faces
from .numbers import finite_number
from .sampling import add_sampling_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, video, folder of pictures, or pattern")
    parser.add_argument(
        "--reference",
        nargs="+",
        action="extend",
        default=[],
        metavar="R",
        help="good photos of the person: files, folders or patterns",
    )
    parser.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="photos of one of several people; repeat it for each person",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="file for one picture or video, existing folder for several",
    )
    parser.add_argument("--aligned", action="store_true", help="the pictures are aligned face crops already")
    parser.add_argument(
        "--keep-location", action="store_true", help="keep the place of a photo or video, which is removed by default"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument(
        "--resume", action="store_true", help="skip inputs whose results exist, and go on with an unfinished video"
    )
    video = parser.add_argument_group("videos")
    video.add_argument(
        "--steadying",
        type=finite_number,
        default=0.5,
        metavar="S",
        help="weight of the frames before in a face, where it is at rest, 0 to 0.95; 0 restores each frame by itself "
        "(default: 0.5)",
    )
    video.add_argument(
        "--landmark-averaging",
        type=finite_number,
        default=2.0,
        metavar="N",
        help="average the position of a face over about N frames before and after; 0 takes it as it was found "
        "(default: 2)",
    )
    add_sampling_arguments(parser)
    faces.add_arguments(parser)
