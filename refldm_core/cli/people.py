"""Reference photos on the command line -> people with keys and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ReferencesError, SettingsError
from ..face.alignment import align_faces
from ..face.detection import Detector
from ..face.identity import Recognizer
from ..face.parsing import FaceParser
from ..face.references import ReferenceSettings, select_references
from ..images import load_image, resize, to_full_tensor, to_tensor
from ..photos import Person
from ..pipeline import ReferenceEncoding, Restorer
from .inputs import pictures_of
from .output import Output

TRAINED_REFERENCES = 5


def aligned_person(restorer: Restorer, photos: Sequence[Path], encoding: ReferenceEncoding) -> Person:
    """A person from photos that are aligned crops already."""
    crops = torch.stack([to_tensor(load_image(path), restorer.spec.crop_size) for path in photos])
    return Person(restorer.encode_references(crops.to(restorer.device), encoding))


def named_folders(texts: Sequence[str]) -> dict[str, list[Path]]:
    """`NAME=FOLDER` (or a pattern, or a file) as typed -> photos of each person.

    Raises:
        SettingsError: another form, or a name given twice.
        ImageFileError: no photos there.
    """
    people: dict[str, list[Path]] = {}
    for text in texts:
        name, separator, where = text.partition("=")
        if not (name and separator and where) or name in people:
            raise SettingsError(
                f"--person {text} cannot be used{': the name is taken' if name in people else ''}.",
                expected="NAME=FOLDER, each name once, such as --person anna=photos/anna",
                remedy="name a folder of photos of that person",
            )
        people[name] = pictures_of(where)
    return people


@dataclass(frozen=True)
class FaceTools:
    """The face networks that a command runs; `recognizer` and `parser` are None where there are none.

    Attributes:
        metadata: what the files of detector and recognizer say of themselves, for `caution`.
    """

    detector: Detector
    recognizer: Recognizer | None
    parser: FaceParser | None
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])


def gather_people(
    people: Mapping[str, Sequence[Path]],
    restorer: Restorer,
    tools: FaceTools,
    output: Output,
    *,
    count: int,
    encoding: ReferenceEncoding,
) -> dict[str, Person]:
    """Choose and encode each person's references.

    With a recognizer the photos may show others too: the person is whoever is in most of them, and the best and most
    different photos are taken, up to `count`. Without one the largest face of every photo is taken.

    Raises:
        ReferencesError: a person without a usable photo; it says why each was dropped.
    """
    gathered: dict[str, Person] = {}
    for name, paths in people.items():
        centroid = None
        if tools.recognizer is None:
            crops = torch.cat([_largest_face(path, tools.detector) for path in paths])
        else:
            photos = ((path.name, to_full_tensor(load_image(path))) for path in paths)
            settings = ReferenceSettings(count=count)
            chosen = select_references(photos, tools.detector, tools.recognizer, settings, parser=tools.parser)
            output.remark(f"references of {name}:\n{chosen.report}")
            crops, centroid = chosen.crops, chosen.centroid
        crops = resize(crops, restorer.spec.crop_size).to(restorer.device)
        gathered[name] = Person(restorer.encode_references(crops, encoding), centroid)
    return gathered


def _largest_face(path: Path, detector: Detector) -> Tensor:
    image = load_image(path)
    faces = sorted(detector.detect(np.asarray(image)), key=lambda face: -face.size)
    if not faces:
        raise ReferencesError(
            f"No face was found in the reference {path}.",
            expected="a photo that shows the person's face",
            remedy="leave it out, or use a sharper photo",
        )
    return align_faces([to_full_tensor(image)], faces[:1])[1]
