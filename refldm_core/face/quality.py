"""Quality of a photo of a face as a reference: sharpness, pose, visible share, and detection of copies."""

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

_MEASURED_SIZE = 256  # pixels of the crop in which blur is measured
_REBLUR_WIDTH = 11  # pixels

# Depth of the nose and of the mouth, and their height below the eyes, on a rigid head. The unit is the distance between
# the eyes. The numbers match the mean landmarks of FFHQ.
_NOSE_DEPTH, _MOUTH_DEPTH = 0.38, 0.08
_NOSE_HEIGHT, _MOUTH_HEIGHT = 0.58, 1.04


@dataclass(frozen=True)
class Pose:
    """Pose of a head in degrees, estimated from five landmarks. Accurate enough to distinguish poses only.

    Attributes:
        yaw: Positive if the nose points to the right of the picture.
        pitch: Positive if the nose points up.
        roll: Positive for clockwise rotation.
    """

    yaw: float
    pitch: float
    roll: float

    def distance(self, pose: Pose) -> float:
        """Return the difference of two poses, 0..1, which is 1 from 60 degrees on.

        Roll does not count, because alignment removes it.
        """
        return min(1.0, math.hypot(self.yaw - pose.yaw, self.pitch - pose.pitch) / 60.0)


@dataclass(frozen=True)
class Quality:
    """Quality of a face as a reference.

    Attributes:
        size: Size of the face box in pixels of the photo.
        blur: Blur of the crop, from 0 (sharp) to 1 (no detail). See `blur`.
        confidence: Confidence of the detector, 0..1.
        inside: Share of the crop inside the photo, 0..1.
        visible: Share of the face that nothing covers, 0..1. None without a face parser.
        pose: Pose of the head.
    """

    size: float
    blur: float
    confidence: float
    inside: float
    visible: float | None
    pose: Pose

    @property
    def overall(self) -> float:
        """Overall quality, 0..1, for ranking only. Higher is better."""
        visible = 1.0 if self.visible is None else self.visible
        return min(1.0, self.size / 256.0) ** 0.5 * (1.0 - self.blur) * self.confidence * self.inside * visible


def measure_quality(face: Face, crop: Tensor, transform: CropTransform, visible: float | None = None) -> Quality:
    """Measure the quality of one face.

    Args:
        face: The face, in pixels of its photo.
        crop: (3, size, size) in [-1, 1], aligned to the FFHQ template.
        transform: Transform of the crop.
        visible: Result of `FaceParser.visible`. None without a face parser.
    """
    return Quality(face.size, blur(crop), face.score, inside_share(transform), visible, estimate_pose(face.landmarks))


def blur(crop: Tensor) -> float:
    """Measure the blur of the face in a crop without a sharp original (Crete et al. 2007).

    The crop is blurred once more. The result is the share of the variation between neighboring pixels that remains:
    little in a sharp picture, most in a blurred one.

    Args:
        crop: (3, size, size) in [-1, 1], aligned to the FFHQ template. The inner 60 percent of each side is measured,
            after resizing to 256 pixels.

    Returns:
        From 0 (sharp) to 1 (no detail).
    """
    size = _MEASURED_SIZE
    gray = antialiased(crop.float().mean(dim=0)[None, None], (size, size), "bicubic")[0, 0]
    gray = gray[size // 5 : -size // 5, size // 5 : -size // 5]
    return max(_blur_along(gray), _blur_along(gray.T))


def _blur_along(gray: Tensor) -> float:
    kernel = torch.full((1, 1, 1, _REBLUR_WIDTH), 1.0 / _REBLUR_WIDTH, device=gray.device)
    reblurred = F.conv2d(gray[None, None], kernel)[0, 0]
    margin = _REBLUR_WIDTH // 2
    variation = gray[:, margin:-margin].diff(dim=1).abs()
    lost = (variation - reblurred.diff(dim=1).abs()).clamp(min=0.0)
    total = float(variation.sum())
    return 1.0 if total < 1e-6 else 1.0 - float(lost.sum()) / total


def estimate_pose(landmarks: Landmarks5) -> Pose:
    """Estimate the pose of a head from the position of its nose between eyes and mouth (see `Pose`)."""
    points = landmarks.points
    eye_to_eye = points[1] - points[0]
    unit = max(1e-6, float(np.linalg.norm(eye_to_eye)))
    right = eye_to_eye / unit
    down = np.array([-right[1], right[0]])
    middle = points[:2].mean(axis=0)
    nose = points[2] - middle
    mouth = float((points[3:].mean(axis=0) - middle) @ down)
    # On a rigid head, nose_x = depth * sin(yaw), and the distance between the eyes is proportional to cos(yaw).
    yaw = math.atan2(float(nose @ right) / unit, _NOSE_DEPTH)
    ratio = float(nose @ down) / mouth if mouth > 1e-6 else _NOSE_HEIGHT / _MOUTH_HEIGHT
    # For nose and mouth, the height in the picture is height * cos(pitch) - depth * sin(pitch). The ratio of the two
    # heights gives tan(pitch).
    pitch = math.atan2(_NOSE_HEIGHT - ratio * _MOUTH_HEIGHT, max(1e-6, _NOSE_DEPTH - ratio * _MOUTH_DEPTH))
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(right[1], right[0])))


def inside_share(transform: CropTransform) -> float:
    """Return the share of a crop inside its picture, 0..1."""
    height, width = transform.image_size
    x, y = grid(transform.resized(64).image_from_crop, (64, 64))
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return float(inside.mean())


def perceptual_hash(crop: Tensor) -> NDArray[np.bool_]:
    """Return a hash of 64 bits that is almost equal for copies of a photo.

    Each bit says whether a low frequency of the crop's cosine transform is above the median.

    Args:
        crop: (3, height, width).
    """
    gray = crop.float().mean(dim=0)[None, None]
    small = antialiased(gray, (32, 32), "bilinear")[0, 0]
    low = np.ravel(cosine_transform(small.cpu().double().numpy())[:8, :8])
    return low > np.median(low[1:])  # the first value is the mean brightness, which would distort the median


def hash_distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> int:
    """Return the number of bits, of 64, in which two hashes differ."""
    return int(np.count_nonzero(a != b))
