"""Measure how much of a rendered person's likeness a restoration keeps: iris colors, moles, glasses and beard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ImageFileError
from ..synthetic.portrait import Portrait
from ..synthetic.regions import Regions

_XYZ_FROM_RGB = np.array([[0.412453, 0.35758, 0.180423], [0.212671, 0.71516, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2 degree observer
_LAB_FROM_ROOTS = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])

LEAST_MOLE_CONTRAST = 4.0
"""Least contrast (L*) of a mole in the true picture. Fainter moles are not counted."""
FOUND = 0.5
"""Least share of its true contrast that a mole has in a restoration that shows it."""
GLASSES_THRESHOLD = 5.0
"""Least `frame_contrast` (delta E) of a picture that shows glasses.

It was checked on 282 true portraits (74 with glasses) at 128 pixels, and on the same portraits resized to 112 and 96
pixels. One judgment is wrong. Without glasses the contrast is at most 2.7. With glasses it is at least 2.7, and it is
below 5 once.
"""
TEXTURE_WEIGHT = 8.0
"""Weight of the texture in `beard_contrast`."""
BEARD_THRESHOLD = 18.0
"""Least `beard_contrast` of a picture that shows a beard.

Of the same 282 true portraits (87 with a beard), it judges 8 wrongly at 128 pixels, 11 at 112 and 14 at 96. These are 6
or 7 people without a beard and 2 to 7 people with one. All but one of the latter have stubble.
"""
LEAST_PIXELS = 6
"""Least number of visible pixel pairs of the chin, and of the cheeks, for a judgment about a beard."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Truth:
    """What a restoration is compared with.

    Attributes:
        picture: (size, size, 3) uint8.
        left_iris, right_iris: (size, size) bool, the visible irises.
        moles: (n, 3) float64: x, y and radius of each visible mole, in pixels.
        glasses, beard: whether the person wears them.
        regions: where glasses and beard are, or would be.
    """

    picture: NDArray[np.uint8]
    left_iris: Mask
    right_iris: Mask
    moles: NDArray[np.float64]
    glasses: bool
    beard: bool
    regions: Regions

    @staticmethod
    def of(portrait: Portrait, regions: Regions) -> Truth:
        """Return the truth of a rendered portrait and its regions."""
        attributes = portrait.attributes
        return Truth(
            portrait.picture,
            attributes.left_iris,
            attributes.right_iris,
            attributes.moles,
            attributes.glasses,
            attributes.beard is not None,
            regions,
        )


@dataclass(frozen=True)
class Attributes:
    """What a restoration kept of the truth.

    Attributes:
        iris_error: CIE 1976 delta E between the mean colors of the restored and the true iris, averaged over the
            visible irises. 0 is exact; a difference of 2 is just visible. None where no iris is visible.
        moles_found: number of counted moles that the restoration shows with at least half of their true contrast.
        moles: number of moles that the truth shows clearly enough to be counted.
        glasses_right: whether the restoration shows glasses if and only if the person wears glasses.
        beard_right: whether the restoration shows a beard if and only if the person has one. None where the face is
            turned so far that the chin or the cheeks are hidden.
    """

    iris_error: float | None
    moles_found: int
    moles: int
    glasses_right: bool
    beard_right: bool | None


def measure(picture: NDArray[np.uint8], truth: Truth) -> Attributes:
    """Compare a restoration with the truth.

    Args:
        picture: (size, size, 3) uint8, of the same crop as the truth.
        truth: the true portrait.

    Raises:
        ImageFileError: the picture has another size than the truth.
    """
    if picture.shape != truth.picture.shape:
        raise ImageFileError(
            f"The restoration is an array of {picture.shape}, the portrait of {truth.picture.shape}.",
            expected="a restoration of this portrait, of its size",
            remedy="resize the restoration first",
        )
    restored, true = lab(picture), lab(truth.picture)
    contrasts = [(mole_contrast(true, mole), mole_contrast(restored, mole)) for mole in truth.moles]
    counted = [pair for pair in contrasts if pair[0] >= LEAST_MOLE_CONTRAST]
    beard = beard_contrast(restored, truth.regions)
    return Attributes(
        iris_error=_iris_error(restored, true, truth),
        moles_found=sum(after >= FOUND * before for before, after in counted),
        moles=len(counted),
        glasses_right=(frame_contrast(restored, truth.regions) >= GLASSES_THRESHOLD) == truth.glasses,
        beard_right=None if beard is None else (beard >= BEARD_THRESHOLD) == truth.beard,
    )


def lab(picture: ArrayLike) -> NDArray[np.float64]:
    """Convert uint8 sRGB (..., 3) to CIE 1976 L*a*b* under D65."""
    rgb = np.asarray(picture, dtype=np.float64) / 255.0
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz: NDArray[np.float64] = np.einsum("...i,ji->...j", linear, _XYZ_FROM_RGB) / _WHITE
    roots = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.einsum("...i,ji->...j", roots, _LAB_FROM_ROOTS) - np.array([16.0, 0.0, 0.0])


def mole_contrast(picture: NDArray[np.float64], mole: NDArray[np.float64]) -> float:
    """Return how much darker a mole is than the skin around it, in L*.

    This is the median L* of a ring from 1.6 to 2.6 radii minus the mean L* within 0.7 radii (at least 0.75 pixels).

    Args:
        picture: (height, width, 3) L*a*b*.
        mole: (3,) x, y and radius in pixels.
    """
    x, y, radius = (float(value) for value in mole)
    reach = 2.6 * radius + 1.0
    height, width = picture.shape[:2]
    top, left = max(0, round(y - reach)), max(0, round(x - reach))
    lightness = picture[top : min(height, round(y + reach) + 1), left : min(width, round(x + reach) + 1), 0]
    rows = np.arange(lightness.shape[0], dtype=np.float64) + (top - y)
    columns = np.arange(lightness.shape[1], dtype=np.float64) + (left - x)
    distance = np.hypot(rows[:, None], columns[None, :])
    inside = distance <= max(0.75, 0.7 * radius)
    ring = (distance >= 1.6 * radius) & (distance <= max(2.6 * radius, 1.6 * radius + 1.5))
    return float(np.median(lightness[ring]) - lightness[inside].mean())


def frame_contrast(picture: NDArray[np.float64], regions: Regions) -> float:
    """Return how much the line of a glasses frame differs from the skin beside it.

    This is the delta E of the median difference along the frame. Glasses change the color along the whole line in the
    same way. Hair or a shadow that crosses the line in places does not move the median.

    Args:
        picture: (height, width, 3) L*a*b*.
        regions: where the frame is, or where a standard frame would be.

    Returns:
        The delta E; 0 where no skin is visible beside the frame.
    """
    reach = max(2, round(0.03 * picture.shape[0]))
    weight = _box_sum(regions.beside_frame.astype(np.float64), reach)
    used = regions.frame & (weight >= 3.0)
    if not used.any():
        return 0.0
    skin = np.where(regions.beside_frame[..., None], picture, 0.0)
    mean_skin = np.stack([_box_sum(skin[..., i], reach)[used] for i in range(3)], axis=-1) / weight[used][:, None]
    return float(np.linalg.norm(np.median(picture[used] - mean_skin, axis=0)))


def beard_contrast(picture: NDArray[np.float64], regions: Regions) -> float | None:
    """Return how much the region of a beard differs from the cheeks.

    A beard changes the color, and its single hairs make the lightness change from pixel to pixel. The contrast is the
    delta E between the median colors plus `TEXTURE_WEIGHT` times the difference of the textures. A texture is the
    median difference in L* between horizontal neighbors.

    Args:
        picture: (height, width, 3) L*a*b*.
        regions: where the beard is, or where a standard beard would be.

    Returns:
        The contrast; None where the chin or the cheeks are hidden.
    """
    beard, cheeks = regions.beard, regions.cheeks
    pairs = [region[:, 1:] & region[:, :-1] for region in (beard, cheeks)]
    if min(pair.sum() for pair in pairs) < LEAST_PIXELS:
        return None
    steps = np.abs(np.diff(picture[..., 0], axis=1))
    texture, smooth = (float(np.median(steps[pair])) for pair in pairs)
    color = np.median(picture[beard], axis=0) - np.median(picture[cheeks], axis=0)
    return float(np.linalg.norm(color)) + TEXTURE_WEIGHT * (texture - smooth)


def _iris_error(restored: NDArray[np.float64], true: NDArray[np.float64], truth: Truth) -> float | None:
    errors = [
        float(np.linalg.norm(restored[iris].mean(axis=0) - true[iris].mean(axis=0)))
        for iris in (truth.left_iris, truth.right_iris)
        if iris.any()
    ]
    return sum(errors) / len(errors) if errors else None


def _box_sum(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the sum over the square of 2 * reach + 1 pixels around each pixel. Values beyond the border are 0."""
    side = 2 * reach + 1
    total = np.cumsum(np.cumsum(np.pad(values, ((reach + 1, reach), (reach + 1, reach))), axis=0), axis=1)
    rows = total[side:] - total[:-side]
    return rows[:, side:] - rows[:, :-side]
