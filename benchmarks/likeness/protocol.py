"""Restoring rendered people with their own references, a wrong person's and none, and measuring what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from refldm_core.data.attributes import Truth, measure
from refldm_core.data.corpus import Picture
from refldm_core.evaluation.identity import IdentityJudge
from refldm_core.face.identity import Recognizer, cosine, embed_crops, published_crop
from refldm_core.images import tensor_to_u8, u8_to_tensor
from refldm_core.pipeline import Restorer, SamplingSettings

from .cases import REFERENCES, Case


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

QUICK_ARMS = ("none", "wrong 3", "own 3")
"""What a quick reading restores."""

JUDGED = ("LQ", *ARMS, "first stage")
"""Pictures that are compared with the truth. The first stage's copy of it is the most that any sampling gives."""
PHOTOS = ("own photo", "wrong photo")
"""First references, as they are: what the recognizer makes of two pictures of one person, and of two people."""
TRUTH = "truth"
"""The true picture itself, whose attributes say how often the measures are right."""


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
    "beard": Metric("beard right", 1, 2),
}
ATTRIBUTES = ("iris", "moles", "glasses", "beard")
OPTIONAL = ("ids_trained", "ids_second")
"""Metrics of recognizers that not every run has."""

Scores = dict[str, float | None]
"""Metric -> value; None, or left out, where a picture has none (a person without moles)."""
PersonScores = dict[str, Scores]
"""Picture, one of `JUDGED`, `PHOTOS` or `TRUTH` -> its scores."""


def restore_all(
    restorer: Restorer, cases: Sequence[Case], settings: SamplingSettings, arms: Sequence[str] = tuple(ARMS)
) -> list[dict[str, Picture]]:
    """Restore each person in several ways, always from the same noise.

    Args:
        restorer: with the model.
        cases: the people.
        settings: of the sampling.
        arms: names of `ARMS`.

    Returns:
        For each case, way -> (size, size, 3) uint8, as `refldm restore` writes it.
    """
    lq, seeds = to_batch([case.lq for case in cases]), [case.person for case in cases]
    restored: list[dict[str, Picture]] = [{} for _ in cases]
    for name in arms:
        arm = ARMS[name]
        photos = [(case.own if arm.own else case.wrong)[: arm.count] for case in cases]
        references = [restorer.encode_references(to_batch(p)) for p in photos] if arm.count else None
        results = to_pictures(restorer.restore(lq, references, seeds, settings))
        for of_person, result in zip(restored, results, strict=True):
            of_person[name] = result
    return restored


def copy_truth(restorer: Restorer, cases: Sequence[Case]) -> list[Picture]:
    """The truth through the first stage and back."""
    return to_pictures(restorer.decode(restorer.encode(to_batch([case.truth.picture for case in cases]))))


@dataclass(frozen=True)
class Recognizers:
    """Who judges the identity.

    Attributes:
        held_out: a recognizer that no model was trained against.
        trained: the one of the identity loss, or None.
        second: another one that no model was trained against, with its own measure, or None.
    """

    held_out: Recognizer
    trained: Recognizer | None = None
    second: IdentityJudge | None = None


def score(case: Case, pictures: Mapping[str, Picture], recognizers: Recognizers) -> PersonScores:
    """Judge every picture of a person.

    Args:
        case: with the truth.
        pictures: name -> (size, size, 3) uint8; those in `PHOTOS` are other photos, judged by identity alone.
        recognizers: that judge the identity.

    Returns:
        The scores of the pictures, and the attributes of the true one.
    """
    scores = identity_scores(case, pictures, recognizers)
    for name in set(pictures) - set(PHOTOS):
        scores[name] |= {**_fidelity(pictures[name], case.truth.picture), **_attributes(pictures[name], case.truth)}
    return {**scores, TRUTH: _attributes(case.truth.picture, case.truth)}


def identity_scores(case: Case, pictures: Mapping[str, Picture], recognizers: Recognizers) -> PersonScores:
    """Judge the identity in every picture of a person; arguments as `score`."""
    crops = to_batch([case.truth.picture, *pictures.values()])
    published = published_crop(crops)
    embedded = {
        "ids": embed_crops(recognizers.held_out, crops),
        "ids_published": recognizers.held_out.embed(published),
    }
    if recognizers.trained is not None:
        embedded["ids_trained"] = recognizers.trained.embed(published)
    similarities = {metric: cosine(embeddings[:1], embeddings[1:])[0] for metric, embeddings in embedded.items()}
    if recognizers.second is not None:
        embeddings = recognizers.second.embed_crops(crops)
        similarities["ids_second"] = recognizers.second.similarity(embeddings[:1], embeddings[1:])[0]
    return {
        name: {metric: float(values[i]) for metric, values in similarities.items()} for i, name in enumerate(pictures)
    }


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


def _attributes(picture: Picture, truth: Truth) -> Scores:
    found = measure(picture, truth)
    return {
        "iris": found.iris_error,
        "moles": found.moles_found / found.moles if found.moles else None,
        "glasses": float(found.glasses_right),
        "beard": None if found.beard_right is None else float(found.beard_right),
    }


def _gradient_energy(picture: Picture) -> float:
    """Mean square of the differences between neighboring pixels: low for a blur, high for noise."""
    values: NDArray[np.float64] = picture.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).mean() for axis in (0, 1)))
