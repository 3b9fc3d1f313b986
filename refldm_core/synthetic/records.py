"""What a rendered dataset says about each of its pictures, and where it says so: in the PNG file itself.

A picture and its record are thus written at once, and an interrupted run leaves no picture without its record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import ImageFileError
from ..files import atomic_write
from ..images import open_image
from .conditions import Conditions
from .portrait import Portrait
from .scene import Scene
from .traits import Person

Record = dict[str, Any]

_KEY = "refldm"
VERSION = 1
"""Of the renderer; raised when the same seeds give other pictures."""


def record(name: str, person: Person, conditions: Conditions, portrait: Portrait) -> Record:
    """What is known of a portrait.

    Args:
        name: of the picture's file.
        person, conditions: that it shows.
        portrait: the picture.

    Returns:
        Values that JSON can hold; colors are sRGB in [0, 1], places pixels, angles degrees, age years.
    """
    attributes = portrait.attributes
    return {
        "version": VERSION,
        "image": name,
        "person": person.seed,
        "conditions": conditions.seed,
        "size": portrait.picture.shape[0],
        "landmarks": _rounded(portrait.landmarks),
        "moles": _rounded(attributes.moles),
        "iris_color": _rounded(attributes.iris_color),
        "glasses": attributes.glasses,
        "beard": attributes.beard,
        "hair": attributes.hair,
        "hair_color": _rounded(attributes.hair_color),
        "gray": round(attributes.gray, 3),
        "gender": person.gender,
        "age": round(person.age, 1),
        "skin_color": _rounded(person.skin.color),
        "freckles": person.skin.freckles > 0,
        "yaw": round(conditions.pose.yaw, 2),
        "pitch": round(conditions.pose.pitch, 2),
        "smile": round(conditions.expression.smile, 3),
        "place": conditions.place,
    }


def scene_record(name: str, people: Sequence[int], scene: Scene) -> Record:
    """What is known of a picture of a group.

    Args:
        name: of the picture's file.
        people: seeds, in the scene's order.
        scene: the picture.

    Returns:
        Values that JSON can hold; places are pixels, and `visible` is the share of each face's box that its skin fills
        (about 0.7 for a face that nothing covers).
    """
    return {
        "version": VERSION,
        "image": name,
        "size": scene.picture.shape[0],
        "people": list(people),
        "landmarks": _rounded(scene.landmarks),
        "boxes": _rounded(scene.boxes),
        "visible": _rounded(_visible_shares(scene)),
    }


def save(path: Path, picture: NDArray[np.uint8], contents: Record) -> None:
    """Write a picture (height, width, 3) with its record.

    Raises:
        OutputError: it cannot be written.
    """
    info = PngInfo()
    info.add_text(_KEY, json.dumps(contents))
    with atomic_write(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG", pnginfo=info)


def read_record(path: Path) -> Record | None:
    """The record of a picture; None where there is no readable picture, or one without a record."""
    try:
        with open_image(path) as opened:
            return json.loads(str(opened.info[_KEY]))
    except (ImageFileError, KeyError, ValueError):
        return None


def load(path: Path) -> Record:
    """Read the record of a picture.

    Raises:
        ImageFileError: no readable picture, or one without a record.
    """
    contents = read_record(path)
    if contents is None:
        raise ImageFileError(
            f"{path} is no picture that `refldm synthesize` wrote.",
            expected="a folder that holds rendered pictures alone",
            remedy="choose another --output, or remove the file",
        )
    return contents


def _visible_shares(scene: Scene) -> list[float]:
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    pixels = [int((scene.faces == i + 1).sum()) for i in range(len(sides))]
    return [count / max(float(width * height), 1.0) for count, (width, height) in zip(pixels, sides, strict=True)]


def _rounded(values: ArrayLike) -> Any:
    """Numbers in lists of any depth, to 3 decimals."""
    return np.round(np.asarray(values, dtype=np.float64), 3).tolist()
