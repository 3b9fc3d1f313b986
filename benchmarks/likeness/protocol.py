"""Restoring drawn people with their own references, a wrong person's and none, and measuring what came back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from refldm_core.data.attributes import measure
from refldm_core.data.corpus import Picture, synthetic_portrait
from refldm_core.data.degradation import RANGES, degrade, draw
from refldm_core.data.synthetic import Portrait
from refldm_core.evaluation.identity import IdentityJudge
from refldm_core.face.identity import Recognizer, cosine, embed_crops, published_crop
from refldm_core.images import tensor_to_u8, u8_to_tensor
from refldm_core.pipeline import Restorer, SamplingSettings

FIRST_PERSON = 900_000
"""Seed of the first person; training ends far below."""
REFERENCES = 3


@dataclass(frozen=True)
class Arm:
    """A way of restoring: with how many references, and whether they are the person's own."""

    own: bool
    count: int


ARMS: dict[str, Arm] = {
    "none": Arm(True, 0),
    "wrong 3": Arm(False, REFERENCES),
    "own 1": Arm(True, 1),
    "own 2": Arm(True, 2),
    "own 3": Arm(True, REFERENCES),
}

JUDGED = ("LQ", *ARMS, "first stage")
"""Pictures that are compared with the truth. The first stage's copy of it is the most that any sampling gives."""
PHOTOS = ("own photo", "wrong photo")
"""First references, as they are: what the recognizer makes of two pictures of one person, and of two people."""


@dataclass(frozen=True)
class Metric:
    """What a picture is judged by.

    Attributes:
        label: in tables.
        better: 1 where more is better, -1 where less is, 0 where 1.0 is right.
        digits: that are shown after the point.
    """

    label: str
    better: int
    digits: int


METRICS: dict[str, Metric] = {
    "ids": Metric("IDS", 1, 3),
    "ids_published": Metric("IDS as published", 1, 3),
    "ids_trained": Metric("IDS, trained against", 1, 3),
    "ids_second": Metric("IDS, 2nd recognizer", 1, 3),
    "psnr": Metric("PSNR (dB)", 1, 2),
    "ssim": Metric("SSIM", 1, 3),
    "sharpness": Metric("sharpness", 0, 2),
    "iris": Metric("iris error (\u0394E)", -1, 1),
    "moles": Metric("moles found", 1, 2),
    "glasses": Metric("glasses right", 1, 2),
}
OPTIONAL = ("ids_trained", "ids_second")
"""Metrics of recognizers that not every run has."""

Scores = dict[str, float | None]
"""Metric -> value; None, or left out, where a picture has none (a person without moles)."""
PersonScores = dict[str, Scores]
"""Picture, one of `JUDGED` or `PHOTOS` -> its scores."""


@dataclass(frozen=True, eq=False)
class Case:
    """One person to restore.

    Attributes:
        person: seed of the person, of the degradation and of the sampling noise.
        truth: picture 0 of the person.
        lq: the truth, severely degraded; (size, size, 3) uint8.
        own: pictures 1 to 3 of the person.
        wrong: the same of the next person.
    """

    person: int
    truth: Portrait
    lq: Picture
    own: Sequence[Picture]
    wrong: Sequence[Picture]


def draw_case(who: int, size: int) -> Case:
    """Draw what restoring the person with seed `who` needs, of `size` pixels along a side."""
    truth = synthetic_portrait(who, 0, size)
    lq = degrade(truth.picture, draw(RANGES["severe"], who))
    own, wrong = (
        [synthetic_portrait(seed, which, size).picture for which in range(1, REFERENCES + 1)] for seed in (who, who + 1)
    )
    return Case(who, truth, lq, own, wrong)


def hash_of(case: Case) -> str:
    """Of all its pictures: tells whether two runs saw the same people."""
    digest = hashlib.sha256()
    for picture in (case.truth.picture, case.lq, *case.own, *case.wrong):
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:16]


def restore_all(restorer: Restorer, cases: Sequence[Case], settings: SamplingSettings) -> list[dict[str, Picture]]:
    """Restore each person in every way of `ARMS`, always from the same noise.

    Returns:
        For each case, way -> (size, size, 3) uint8, as `refldm restore` writes it.
    """
    lq, seeds = to_batch([case.lq for case in cases]), [case.person for case in cases]
    restored: list[dict[str, Picture]] = [{} for _ in cases]
    for name, arm in ARMS.items():
        photos = [(case.own if arm.own else case.wrong)[: arm.count] for case in cases]
        references = [restorer.encode_references(to_batch(p)) for p in photos] if arm.count else None
        results = to_pictures(restorer.restore(lq, references, seeds, settings))
        for of_person, result in zip(restored, results, strict=True):
            of_person[name] = result
    return restored


def copy_truth(restorer: Restorer, cases: Sequence[Case]) -> list[Picture]:
    """The truth through the first stage and back."""
    return to_pictures(restorer.decode(restorer.encode(to_batch([case.truth.picture for case in cases]))))


def score(
    case: Case,
    pictures: Mapping[str, Picture],
    recognizer: Recognizer,
    trained: Recognizer | None = None,
    second: IdentityJudge | None = None,
) -> PersonScores:
    """Judge every picture of a person.

    Args:
        case: with the truth.
        pictures: name -> (size, size, 3) uint8; those in `PHOTOS` are other photos, judged by identity alone.
        recognizer: that no model was trained against.
        trained: the one of the identity loss.
        second: another one that no model was trained against, with its own measure.
    """
    scores: PersonScores = {
        name: {} if name in PHOTOS else {**_fidelity(picture, case.truth.picture), **_attributes(picture, case.truth)}
        for name, picture in pictures.items()
    }
    crops = to_batch([case.truth.picture, *pictures.values()])
    embedded = {"ids": embed_crops(recognizer, crops), "ids_published": recognizer.embed(published_crop(crops))}
    if trained is not None:
        embedded["ids_trained"] = trained.embed(published_crop(crops))
    similarities = {metric: cosine(embeddings[:1], embeddings[1:])[0] for metric, embeddings in embedded.items()}
    if second is not None:
        embeddings = second.embed_crops(crops)
        similarities["ids_second"] = second.similarity(embeddings[:1], embeddings[1:])[0]
    for metric, values in similarities.items():
        for of_picture, value in zip(scores.values(), values, strict=True):
            of_picture[metric] = float(value)
    return scores


def to_batch(pictures: Sequence[Picture]) -> Tensor:
    """Pictures (size, size, 3) uint8 -> (n, 3, size, size) in [-1, 1]."""
    return u8_to_tensor(torch.tensor(np.stack(pictures)).movedim(-1, 1))


def to_pictures(images: Tensor) -> list[Picture]:
    """(n, 3, size, size) in about [-1, 1] -> pictures (size, size, 3) uint8."""
    return list(tensor_to_u8(images.cpu()).movedim(1, -1).contiguous().numpy())


def _fidelity(picture: Picture, truth: Picture) -> Scores:
    # Windows and weights of SSIM as in Wang et al. (2004).
    ssim = structural_similarity(
        truth, picture, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return {
        "psnr": float(peak_signal_noise_ratio(truth, picture, data_range=255)),
        "ssim": float(np.asarray(ssim)),
        "sharpness": _gradient_energy(picture) / _gradient_energy(truth),
    }


def _attributes(picture: Picture, truth: Portrait) -> Scores:
    found = measure(picture, truth)
    return {
        "iris": found.iris_error,
        "moles": found.moles_found / found.moles if found.moles else None,
        "glasses": float(found.glasses_right),
    }


def _gradient_energy(picture: Picture) -> float:
    """Mean square of the differences between neighboring pixels: low for a blur, high for noise."""
    values: NDArray[np.float64] = picture.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).mean() for axis in (0, 1)))
