"""Records that describe the pictures of a rendered dataset. The PNG file of a picture holds its record.

A picture and its record are therefore written together, and an interrupted run leaves no picture without a record.
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
"""Key of the record among the texts of the PNG file."""

VERSION = 1
"""Version of the renderer. It rises whenever the same seeds give other pictures."""


def portrait_record(name: str, person: Person, conditions: Conditions, portrait: Portrait) -> Record:
    """Return the record of a portrait.

    Args:
        name: name of the picture's file.
        person, conditions: arguments that the portrait was rendered with.
        portrait: the rendered portrait.

    Returns:
        Values of JSON types. Colors are sRGB in [0, 1], positions are pixels, angles are degrees, the age is years.
    """
    attributes = portrait.attributes
    return {
        "version": VERSION,
        "image": name,
        "person": person.seed,
        "conditions": conditions.seed,
        "size": portrait.picture.shape[0],
        "landmarks": _rounded_lists(portrait.landmarks),
        "moles": _rounded_lists(attributes.moles),
        "iris_color": _rounded_lists(attributes.iris_color),
        "glasses": attributes.glasses,
        "beard": attributes.beard,
        "hair": attributes.hair,
        "hair_color": _rounded_lists(attributes.hair_color),
        "gray": round(attributes.gray, 3),
        "gender": person.gender,
        "age": round(person.age, 1),
        "skin_color": _rounded_lists(person.skin.color),
        "freckles": person.skin.freckles > 0,
        "yaw": round(conditions.pose.yaw, 2),
        "pitch": round(conditions.pose.pitch, 2),
        "smile": round(conditions.expression.smile, 3),
        "place": conditions.place,
    }


def scene_record(name: str, people: Sequence[int], scene: Scene) -> Record:
    """Return the record of a picture of a group.

    Args:
        name: name of the picture's file.
        people: seeds of the people, in the scene's order.
        scene: the rendered scene.

    Returns:
        Values of JSON types. Positions are pixels. `visible` is the share of each face's box that its visible skin
        fills, about 0.7 for a face that nothing covers.
    """
    return {
        "version": VERSION,
        "image": name,
        "size": scene.picture.shape[0],
        "people": list(people),
        "landmarks": _rounded_lists(scene.landmarks),
        "boxes": _rounded_lists(scene.boxes),
        "visible": _rounded_lists(_visible_shares(scene)),
    }


def save_picture(path: Path, picture: NDArray[np.uint8], record: Record) -> None:
    """Write a picture (height, width, 3) with its record to a PNG file.

    Raises:
        OutputError: the file cannot be written.
    """
    info = PngInfo()
    info.add_text(_KEY, json.dumps(record))
    with atomic_write(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG", pnginfo=info)


def read_record(path: Path) -> Record | None:
    """Return the record of a picture. None if there is no readable picture, or if the picture has no record."""
    try:
        with open_image(path) as image:
            return json.loads(str(image.info[_KEY]))
    except (ImageFileError, KeyError, ValueError):
        return None


def require_record(path: Path) -> Record:
    """Return the record of a picture that must have one.

    Raises:
        ImageFileError: there is no readable picture, or the picture has no record.
    """
    record = read_record(path)
    if record is None:
        raise ImageFileError(
            f"{path} is not a picture that `refldm synthesize` wrote.",
            expected="a folder that holds only rendered pictures",
            remedy="choose another --output, or remove the file",
        )
    return record


def _visible_shares(scene: Scene) -> list[float]:
    """Return the share of each face's box that its visible skin fills."""
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    pixels = [int((scene.faces == i + 1).sum()) for i in range(len(sides))]
    return [count / max(float(width * height), 1.0) for count, (width, height) in zip(pixels, sides, strict=True)]


def _rounded_lists(values: ArrayLike) -> Any:
    """Round numbers to 3 decimals, and return them as nested lists."""
    return np.round(np.asarray(values, dtype=np.float64), 3).tolist()
