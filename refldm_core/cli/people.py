"""The people of a command: their reference photos are read, and encoded to keys and values."""

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
"""Most references of a person in the training of the published model."""


def aligned_person(restorer: Restorer, photos: Sequence[Path], encoding: ReferenceEncoding) -> Person:
    """Return a person whose photos are aligned crops already."""
    crops = torch.stack([to_tensor(load_image(path), restorer.spec.crop_size) for path in photos])
    return Person(restorer.encode_references(crops.to(restorer.device), encoding))


def named_folders(texts: Sequence[str]) -> dict[str, list[Path]]:
    """Return the photos of each person from texts such as `NAME=FOLDER`; a pattern or a file can replace the folder.

    Raises:
        SettingsError: A text has another form, or two texts have one name.
        ImageFileError: A folder or pattern has no photos.
    """
    people: dict[str, list[Path]] = {}
    for text in texts:
        name, separator, location = text.partition("=")
        if not (name and separator and location) or name in people:
            raise SettingsError(
                f"--person {text} cannot be used{': the name is taken' if name in people else ''}.",
                expected="NAME=FOLDER, each name once, such as --person anna=photos/anna",
                remedy="name a folder of photos of that person",
            )
        people[name] = pictures_of(location)
    return people


@dataclass(frozen=True)
class FaceTools:
    """The face networks that a command runs. `recognizer` and `parser` are None where a command has none.

    Attributes:
        metadata: Metadata of the files of detector and recognizer, for `caution`.
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
    """Choose and encode the references of each person.

    With a recognizer, the photos may show further people. The face that is in most photos is the person's, and the best
    and most different photos are chosen. Without a recognizer, the largest face of every photo is taken.

    Args:
        people: Name of each person -> files of the photos.
        restorer: Restorer that encodes the references.
        tools: Face networks.
        output: Output of the command. It receives the report of each choice.
        count: Most references of a person, where there is a recognizer.
        encoding: Encode the references together or each alone.

    Raises:
        ReferencesError: A person has no usable photo. The error gives the reason for each photo.
        ImageFileError: A photo cannot be read.
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
    """Return the aligned crop (1, 3, size, size) of the largest face of a photo."""
    image = load_image(path)
    faces = sorted(detector.detect(np.asarray(image)), key=lambda face: -face.size)
    if not faces:
        raise ReferencesError(
            f"No face was found in the reference {path}.",
            expected="a photo that shows the person's face",
            remedy="leave it out, or use a sharper photo",
        )
    return align_faces([to_full_tensor(image)], faces[:1])[1]
