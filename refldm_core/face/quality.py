"""How good a photo of a face is as a reference: sharpness, pose, what the picture's border cuts off, and duplicates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..images import antialiased
from .scipy_functions import cosine_transform
from .types import CropTransform, Face, Landmarks5
from .warping import grid

_MEASURED_SIZE = 256  # pixels of the crop: 1.5 times the width of a face box
_REBLUR = 11  # pixels

# A solid head, in distances between its eyes, as the mean landmarks of FFHQ have it: depth of nose and of mouth, and
# height of nose and of mouth below the eyes.
_NOSE_DEPTH, _MOUTH_DEPTH = 0.38, 0.08
_NOSE_HEIGHT, _MOUTH_HEIGHT = 0.58, 1.04


@dataclass(frozen=True)
class Pose:
    """Degrees, estimated from five landmarks: good to tell poses apart, not to measure them.

    Attributes:
        yaw: positive where the nose points to the right of the picture.
        pitch: positive where it points up.
        roll: positive clockwise.
    """

    yaw: float
    pitch: float
    roll: float

    def apart(self, other: Pose) -> float:
        """How different two views of a head are: 0..1, 1 from 60 degrees on. Roll is left out: alignment undoes it."""
        return min(1.0, math.hypot(self.yaw - other.yaw, self.pitch - other.pitch) / 60.0)


@dataclass(frozen=True)
class Quality:
    """What a face's crop is good for.

    Attributes:
        size: of the face box, pixels of the photo.
        blur: 0 sharp .. 1 without any detail, see `blur`.
        confidence: of the detector, 0..1.
        inside: share of the crop that lies inside the photo, 0..1.
        visible: share of the face that nothing covers, 0..1; None where no parser looked.
        pose: of the head.
    """

    size: float
    blur: float
    confidence: float
    inside: float
    visible: float | None
    pose: Pose

    @property
    def overall(self) -> float:
        """0..1, higher is better; for ranking only."""
        seen = 1.0 if self.visible is None else self.visible
        return min(1.0, self.size / 256.0) ** 0.5 * (1.0 - self.blur) * self.confidence * self.inside * seen


def measure_quality(face: Face, crop: Tensor, transform: CropTransform, visible: float | None = None) -> Quality:
    """Judge one face.

    Args:
        face: in its photo.
        crop: (3, size, size) in [-1, 1], aligned to the FFHQ template.
        transform: of the crop.
        visible: from `FaceParser.visible`, if there is a parser.
    """
    return Quality(face.size, blur(crop), face.score, inside_share(transform), visible, estimate_pose(face.landmarks))


def blur(crop: Tensor) -> float:
    """No-reference blur of the face in a crop (Crete et al. 2007): 0 sharp .. 1 without any detail.

    How much of the variation between neighbors a further blur leaves: little in a sharp picture, most in a soft one.

    Args:
        crop: (3, size, size) in [-1, 1], aligned to the FFHQ template; its inner 60 percent is measured, at one size.
    """
    size = _MEASURED_SIZE
    gray = antialiased(crop.float().mean(dim=0)[None, None], (size, size), "bicubic")[0, 0]
    gray = gray[size // 5 : -size // 5, size // 5 : -size // 5]
    return max(_blur_along(gray), _blur_along(gray.T))


def _blur_along(gray: Tensor) -> float:
    kernel = torch.full((1, 1, 1, _REBLUR), 1.0 / _REBLUR, device=gray.device)
    reblurred = F.conv2d(gray[None, None], kernel)[0, 0]
    margin = _REBLUR // 2
    variation = gray[:, margin:-margin].diff(dim=1).abs()
    lost = (variation - reblurred.diff(dim=1).abs()).clamp(min=0.0)
    total = float(variation.sum())
    return 1.0 if total < 1e-6 else 1.0 - float(lost.sum()) / total


def estimate_pose(landmarks: Landmarks5) -> Pose:
    """The view of a head, from how far its nose stands out (see `Pose`)."""
    points = landmarks.points
    across = points[1] - points[0]
    unit = max(1e-6, float(np.linalg.norm(across)))
    right = across / unit
    down = np.array([-right[1], right[0]])
    middle = points[:2].mean(axis=0)
    nose = points[2] - middle
    mouth = float((points[3:].mean(axis=0) - middle) @ down)
    # In a view of a solid head: nose_x = depth sin(yaw) while the eyes' distance shrinks by cos(yaw).
    yaw = math.atan2(float(nose @ right) / unit, _NOSE_DEPTH)
    ratio = float(nose @ down) / mouth if mouth > 1e-6 else _NOSE_HEIGHT / _MOUTH_HEIGHT
    # Height on the picture is height cos(pitch) - depth sin(pitch), for nose and mouth; solved for tan(pitch).
    pitch = math.atan2(_NOSE_HEIGHT - ratio * _MOUTH_HEIGHT, max(1e-6, _NOSE_DEPTH - ratio * _MOUTH_DEPTH))
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(right[1], right[0])))


def inside_share(transform: CropTransform) -> float:
    """How much of a crop lies inside its picture, 0..1."""
    height, width = transform.image_size
    x, y = grid(transform.resized(64).image_from_crop, (64, 64))
    within = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return float(within.mean())


def perceptual_hash(crop: Tensor) -> NDArray[np.bool_]:
    """64 bits that copies of a photo share: which low frequencies of its cosine transform are above their median."""
    gray = crop.float().mean(dim=0)[None, None]
    small = antialiased(gray, (32, 32), "bilinear")[0, 0]
    low = np.ravel(cosine_transform(small.cpu().double().numpy())[:8, :8])
    return low > np.median(low[1:])  # the first is the mean brightness


def hash_distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> int:
    """Number of bits, of 64, in which two hashes differ."""
    return int(np.count_nonzero(a != b))
