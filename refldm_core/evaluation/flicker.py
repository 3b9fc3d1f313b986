"""Flicker of a restored video against its true one: what changes from frame to frame and should not.

Every frame is aligned to the face's crop by landmarks of the *truth*, the restored frame by the same transform. The
truth's motion is then in both crops. All measures are of the face: an ellipse in the middle of the crop.

- **Deviation**, in gray levels of 255. Let r_t be the restored crop minus the true one, and d_t = r_t - r_(t-1). The
  deviation is the temporal standard deviation of d at each pixel and channel, root mean square over the face, divided
  by the square root of 2. A constant error (blur, color) and an error that grows evenly count nothing. Independent
  noise of standard deviation s in every frame gives s. Grain of the truth counts, and so does detail that the
  restored face lacks or has in excess, if it moves.
- **Warping error**, in gray levels of 255 (Lai et al., ECCV 2018, with their occlusion test by Sundaram et al., ECCV
  2010). Crop t - 1 is warped along the truth's optical flow to crop t. The error is the root mean square of the
  difference over the visible pixels of the face, divided by the square root of 2. The truth has an error too: grain,
  light, and the flow's own errors. The excess is the restored error minus the truth's. It is below 0 for a face with
  less grain and detail than the truth.
- **Identity change**: 1 - the similarity of the embeddings of a face in consecutive frames, mean over the pairs, by the
  recognizer. The excess is the restored face's minus the truth's. The deviation of the likeness is the standard
  deviation over the frames of the similarity of the restored to the true face. It also shows a slow drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import PictureError
from ..face.alignment import FACE_BOX, align, crop_transform
from ..face.identity import Embeddings
from ..face.template import FFHQ_SIZE
from ..face.types import Landmarks5
from ..images import u8_to_tensor
from .identity import IdentityJudge
from .metrics import Picture
from .packages import require

SMALLEST_CROP, LARGEST_CROP = 64, FFHQ_SIZE
"""Limits of a crop's side in pixels. The optical flow needs the one, and nobody needs more than the other."""

LEAST_PAIRS = 2
"""Number of pairs of consecutive frames that a standard deviation of differences needs."""

_Values = NDArray[np.float32]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Flicker:
    """The flicker of one face. The module's text defines the measures.

    Attributes:
        frames: number of frames.
        pairs: number of pairs of consecutive frames.
        crop_size: side of the crops in pixels.
        visible: share of the face's pixels that the optical flow follows, 0..1, mean over the pairs.
        deviation: temporal deviation of the residual, in gray levels.
        warping_error, truth_warping_error: in gray levels.
        identity_change, truth_identity_change: mean change in 0..2; None without a recognizer.
        likeness: mean similarity of the restored to the true face; None without a recognizer.
        likeness_deviation: its standard deviation over the frames; None without a recognizer.
    """

    frames: int
    pairs: int
    crop_size: int
    visible: float
    deviation: float
    warping_error: float
    truth_warping_error: float
    identity_change: float | None
    truth_identity_change: float | None
    likeness: float | None
    likeness_deviation: float | None

    @property
    def excess_warping_error(self) -> float:
        """Warping error beyond the truth's, in gray levels."""
        return self.warping_error - self.truth_warping_error

    @property
    def identity_drift(self) -> float | None:
        """Identity change beyond the truth's; None without a recognizer."""
        if self.identity_change is None or self.truth_identity_change is None:
            return None
        return self.identity_change - self.truth_identity_change


def face_ellipse(size: int) -> _Mask:
    """Return the face in an aligned crop: (size, size) bool, the ellipse inside the template's face box."""
    left, top, right, bottom = ((value + 0.5) * size / FFHQ_SIZE - 0.5 for value in FACE_BOX)
    y, x = np.indices((size, size), dtype=np.float64)
    dx = (x - 0.5 * (left + right)) / (0.5 * (right - left))
    dy = (y - 0.5 * (top + bottom)) / (0.5 * (bottom - top))
    return dx**2 + dy**2 <= 1.0


def crop_size_for(side: float) -> int:
    """Return the side of the crops of a face whose crop has this mean side in pixels of the video."""
    return round(min(max(side, SMALLEST_CROP), LARGEST_CROP))


@dataclass
class _Last:
    """The previous frame: crops in gray levels, the truth's luma, and the embeddings."""

    frame: int
    truth: _Values
    restored: _Values
    luma: NDArray[np.uint8]
    embeddings: Embeddings | None


class FlickerMeter:
    """Measures the flicker of one face, frame by frame, so that a video of any length fits into memory.

    Args:
        crop_size: side of the aligned crops in pixels, from 64. A crop about as large as the face in the video leaves
            its pixels as they are.
        judge: recognizer for the identity, or None.

    Raises:
        MissingPackageError: OpenCV is not installed.
    """

    def __init__(self, crop_size: int, judge: IdentityJudge | None = None) -> None:
        self._size = crop_size
        self._judge = judge
        self._face = face_ellipse(crop_size)
        self._cv2 = require("cv2")
        self._flow = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._last: _Last | None = None
        self._frames = self._pairs = 0
        self._sum = np.zeros((crop_size, crop_size, 3))
        self._sum_of_squares = np.zeros((crop_size, crop_size, 3))
        self._visible = 0
        self._warping = np.zeros(2)  # sums of squares of the restored face and the truth
        self._changes: list[tuple[float, float]] = []  # of the restored face and the truth
        self._likeness: list[float] = []

    def add(self, frame: int, truth: Picture, restored: Picture, landmarks: Landmarks5) -> None:
        """Measure a frame.

        Args:
            frame: number of the frame, above that of the previous call. Only consecutive frames make a pair.
            truth, restored: (height, width, 3) uint8 RGB, of one size.
            landmarks: landmarks of the face in the truth.

        Raises:
            PictureError: the pictures have different sizes.
            FaceError: the landmarks make no crop.
        """
        if truth.shape != restored.shape:
            raise PictureError(
                f"Frame {frame} has {_size_text(restored)} pixels, and {_size_text(truth)} in the truth.",
                expected="frames of one size",
                remedy="export the restored video in the size of the true one",
            )
        transform = crop_transform(landmarks, (truth.shape[0], truth.shape[1]), self._size)
        crops = torch.stack([align(_to_image(picture), transform) for picture in (truth, restored)])
        true_levels, restored_levels = (_to_levels(crop) for crop in crops)
        luma = self._cv2.cvtColor(np.rint(true_levels).astype(np.uint8), self._cv2.COLOR_RGB2GRAY)
        embeddings = None if self._judge is None else self._judge.embed_crops(crops)
        current = _Last(frame, true_levels, restored_levels, luma, embeddings)
        if self._judge is not None and embeddings is not None:
            self._likeness.append(float(self._judge.similarity(embeddings[1:], embeddings[:1])[0, 0]))
        if self._last is not None and self._last.frame == frame - 1:
            self._add_pair(self._last, current)
        self._frames += 1
        self._last = current

    def _add_pair(self, last: _Last, current: _Last) -> None:
        difference = (current.restored - current.truth).astype(np.float64) - (last.restored - last.truth)
        self._sum += difference
        self._sum_of_squares += difference**2
        backward = self._flow.calc(current.luma, last.luma, None)
        forward = self._flow.calc(last.luma, current.luma, None)
        visible = self._face & self._consistent(backward, forward)
        self._visible += int(visible.sum())
        pairs = ((last.restored, current.restored), (last.truth, current.truth))
        for i, (before, after) in enumerate(pairs):
            errors = (self._warp(before, backward) - after)[visible].astype(np.float64)
            self._warping[i] += float((errors**2).sum()) / 3.0
        if self._judge is not None and last.embeddings is not None and current.embeddings is not None:
            similarity = self._judge.similarity(current.embeddings, last.embeddings)
            self._changes.append((1.0 - float(similarity[1, 1]), 1.0 - float(similarity[0, 0])))
        self._pairs += 1

    def _warp(self, values: _Values, flow: _Values) -> _Values:
        y, x = np.indices(flow.shape[:2], dtype=np.float32)
        mode = {"interpolation": self._cv2.INTER_LINEAR, "borderMode": self._cv2.BORDER_REPLICATE}
        return self._cv2.remap(values, x + flow[..., 0], y + flow[..., 1], **mode)

    def _consistent(self, backward: _Values, forward: _Values) -> _Mask:
        """Return the pixels that the flow leads to a point and back (Sundaram et al. 2010, equation 5)."""
        returned = self._warp(forward, backward)
        there_and_back = ((backward + returned) ** 2).sum(axis=-1)
        lengths = (backward**2).sum(axis=-1) + (returned**2).sum(axis=-1)
        y, x = np.indices(backward.shape[:2])
        origins = np.stack([x, y], axis=-1) + backward
        inside = ((origins >= 0) & (origins <= self._size - 1)).all(axis=-1)
        return np.asarray(inside & (there_and_back < 0.01 * lengths + 0.5), dtype=np.bool_)

    @property
    def is_ready(self) -> bool:
        """Whether there are enough pairs of consecutive frames for a result."""
        return self._pairs >= LEAST_PAIRS

    def result(self) -> Flicker:
        """Return the measures of all frames.

        Raises:
            PictureError: there are too few pairs of consecutive frames.
        """
        if not self.is_ready:
            raise PictureError(
                f"The face is in {self._frames} frames and {self._pairs} pairs of consecutive frames.",
                expected=f"at least {LEAST_PAIRS + 1} consecutive frames",
                remedy="judge a longer video",
            )
        variance = self._sum_of_squares / self._pairs - (self._sum / self._pairs) ** 2
        errors = np.sqrt(self._warping / max(1, self._visible) / 2.0)
        change, truth_change = np.mean(self._changes, axis=0) if self._changes else (None, None)
        return Flicker(
            frames=self._frames,
            pairs=self._pairs,
            crop_size=self._size,
            visible=self._visible / (self._pairs * int(self._face.sum())),
            deviation=math.sqrt(max(0.0, float(variance[self._face].mean())) / 2.0),
            warping_error=float(errors[0]),
            truth_warping_error=float(errors[1]),
            identity_change=_number(change),
            truth_identity_change=_number(truth_change),
            likeness=float(np.mean(self._likeness)) if self._likeness else None,
            likeness_deviation=float(np.std(self._likeness)) if self._likeness else None,
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _to_image(picture: Picture) -> torch.Tensor:
    return u8_to_tensor(torch.tensor(picture).movedim(-1, 0))


def _to_levels(crop: torch.Tensor) -> _Values:
    return np.asarray(((crop + 1.0) * 127.5).movedim(0, -1).numpy(), dtype=np.float32)


def _size_text(picture: Picture) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
