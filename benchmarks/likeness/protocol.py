"""Restore rendered people with their own references, a wrong person's and none, and measure the restored likeness."""

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
    """A way of restoring.

    Attributes:
        own: whether the references show the person. Otherwise they show a wrong person.
        count: number of references.
    """

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
"""Ways of restoring in a quick reading."""

JUDGED = ("LQ", *ARMS, "first stage")
"""Pictures that are compared with the truth.

The first stage's copy of the truth is the best picture that any sampling can give.
"""

PHOTOS = ("own photo", "wrong photo")
"""First references, unchanged. Their IDS is that of two pictures of one person, and of pictures of two people."""

TRUTH = "truth"
"""The true picture itself. Its attributes say how often the measures are right."""


@dataclass(frozen=True)
class Metric:
    """A metric that judges a picture.

    Attributes:
        label: name in tables.
        better: 1 if larger values are better, -1 if smaller values are better, 0 if 1.0 is best.
        digits: digits after the decimal point in tables.
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
"""Metrics of recognizers that a run may lack."""

Scores = dict[str, float | None]
"""Metric -> value. A value that a picture lacks, such as moles for a person without any, is None or left out."""
PersonScores = dict[str, Scores]
"""Picture (one of `JUDGED`, `PHOTOS` or `TRUTH`) -> scores."""


def restore_all(
    restorer: Restorer, cases: Sequence[Case], settings: SamplingSettings, arms: Sequence[str] = tuple(ARMS)
) -> list[dict[str, Picture]]:
    """Restore each person in several ways, all from the same noise.

    Args:
        restorer: restorer with the model.
        cases: people to restore.
        settings: settings of the sampler.
        arms: names of the ways, from `ARMS`.

    Returns:
        For each case, name of the way -> (size, size, 3) uint8, as `refldm restore` writes it.
    """
    lq, seeds = to_batch([case.lq for case in cases]), [case.person for case in cases]
    restored: list[dict[str, Picture]] = [{} for _ in cases]
    for name in arms:
        arm = ARMS[name]
        photos = [(case.own if arm.own else case.wrong)[: arm.count] for case in cases]
        references = [restorer.encode_references(to_batch(pictures)) for pictures in photos] if arm.count else None
        results = to_pictures(restorer.restore(lq, references, seeds, settings))
        for pictures, result in zip(restored, results, strict=True):
            pictures[name] = result
    return restored


def copy_truth(restorer: Restorer, cases: Sequence[Case]) -> list[Picture]:
    """Encode the truth with the first stage, and decode it again."""
    return to_pictures(restorer.decode(restorer.encode(to_batch([case.truth.picture for case in cases]))))


@dataclass(frozen=True)
class Recognizers:
    """Recognizers that judge the identity.

    Attributes:
        held_out: recognizer that no model was trained against.
        trained: recognizer of the identity loss, or None.
        second: further recognizer that no model was trained against, with its own measure, or None.
    """

    held_out: Recognizer
    trained: Recognizer | None = None
    second: IdentityJudge | None = None


def score(case: Case, pictures: Mapping[str, Picture], recognizers: Recognizers) -> PersonScores:
    """Judge every picture of a person.

    Args:
        case: case with the truth.
        pictures: name -> (size, size, 3) uint8. Those in `PHOTOS` are not restorations. Only their identity is judged.
        recognizers: recognizers that judge the identity.

    Returns:
        The scores of the pictures, and the attributes of the true picture.
    """
    scores = identity_scores(case, pictures, recognizers)
    for name in set(pictures) - set(PHOTOS):
        scores[name] |= {**_fidelity(pictures[name], case.truth.picture), **_attributes(pictures[name], case.truth)}
    return {**scores, TRUTH: _attributes(case.truth.picture, case.truth)}


def identity_scores(case: Case, pictures: Mapping[str, Picture], recognizers: Recognizers) -> PersonScores:
    """Judge the identity in every picture of a person. See `score` for the arguments."""
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
    """Convert pictures (size, size, 3) uint8 to (n, 3, size, size) in [-1, 1]."""
    return u8_to_tensor(torch.tensor(np.stack(pictures)).movedim(-1, 1))


def to_pictures(images: Tensor) -> list[Picture]:
    """Convert (n, 3, size, size) in about [-1, 1] to pictures (size, size, 3) uint8."""
    return list(tensor_to_u8(images.cpu()).movedim(1, -1).contiguous().numpy())


def _fidelity(picture: Picture, truth: Picture) -> Scores:
    # The window and weights of SSIM are those of Wang et al. (2004).
    ssim = structural_similarity(
        truth, picture, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return {
        "psnr": float(peak_signal_noise_ratio(truth, picture, data_range=255)),
        "ssim": float(np.asarray(ssim)),
        "sharpness": gradient_energy(picture) / gradient_energy(truth),
    }


def _attributes(picture: Picture, truth: Truth) -> Scores:
    attributes = measure(picture, truth)
    return {
        "iris": attributes.iris_error,
        "moles": attributes.moles_found / attributes.moles if attributes.moles else None,
        "glasses": float(attributes.glasses_right),
        "beard": None if attributes.beard_right is None else float(attributes.beard_right),
    }


def gradient_energy(picture: Picture) -> float:
    """Return the mean square of the differences between neighboring pixels. It is low for blur and high for noise."""
    values: NDArray[np.float64] = picture.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).mean() for axis in (0, 1)))
