"""How much of a rendered person's likeness a restored portrait has: iris colors, moles, glasses and beard."""

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
"""L*: a mole that the true picture itself does not show any better is not counted."""
FOUND = 0.5
"""Of the true contrast."""
GLASSES_THRESHOLD = 5.0
"""Delta E between the frame's line and the skin beside it, from which on there are glasses.

Of 282 true portraits (74 with glasses) at 128 pixels, and of the same resized to 112 and 96, one is judged wrong:
without glasses the contrast is at most 2.7, with glasses at least 2.7, and below 5 once.
"""
TEXTURE_WEIGHT = 8.0
BEARD_THRESHOLD = 18.0
"""See `beard_contrast`: from which on there is a beard.

Of the same 282 true portraits (87 with a beard) it is wrong for 8 at 128 pixels, 11 at 112 and 14 at 96: for 6 or 7
people without a beard, and for 2 to 7 with one, all but one of them with stubble.
"""
LEAST_PIXELS = 6
"""Of chin and cheeks, for there to be an opinion about a beard."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Truth:
    """What a restoration is compared with.

    Attributes:
        picture: (size, size, 3) uint8.
        left_iris, right_iris: (size, size) bool, the visible irises.
        moles: (n, 3) float64 x, y, radius in pixels of the visible moles.
        glasses, beard: whether the person wears them.
        regions: where they are, or would be.
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
        """Of a rendered portrait and its own regions."""
        shown = portrait.attributes
        return Truth(
            portrait.picture,
            shown.left_iris,
            shown.right_iris,
            shown.moles,
            shown.glasses,
            shown.beard is not None,
            regions,
        )


@dataclass(frozen=True)
class Attributes:
    """What a restoration kept.

    Attributes:
        iris_error: CIE 1976 delta E between the mean colors of restored and true irises, the mean of the visible ones;
            0 is right, 2 is just seen; None where no iris is visible.
        moles_found: of the visible moles, those with at least half of their true contrast.
        moles: visible in the truth.
        glasses_right: whether there are glasses exactly where the person wears some.
        beard_right: whether there is a beard exactly where the person wears one; None where the face is turned so far
            that chin or cheeks are hidden.
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
        ImageFileError: a picture of another size.
    """
    if picture.shape != truth.picture.shape:
        raise ImageFileError(
            f"The restoration is an array of {picture.shape}, the portrait of {truth.picture.shape}.",
            expected="a restoration of this portrait, of its size",
            remedy="resize it first",
        )
    restored, true = lab(picture), lab(truth.picture)
    before = [mole_contrast(true, mole) for mole in truth.moles]
    after = [mole_contrast(restored, mole) for mole in truth.moles]
    counted = [(b, a) for b, a in zip(before, after, strict=True) if b >= LEAST_MOLE_CONTRAST]
    beard = beard_contrast(restored, truth.regions)
    return Attributes(
        iris_error=_iris_error(restored, true, truth),
        moles_found=sum(a >= FOUND * b for b, a in counted),
        moles=len(counted),
        glasses_right=(frame_contrast(restored, truth.regions) >= GLASSES_THRESHOLD) == truth.glasses,
        beard_right=None if beard is None else (beard >= BEARD_THRESHOLD) == truth.beard,
    )


def lab(picture: ArrayLike) -> NDArray[np.float64]:
    """Uint8 sRGB (..., 3) -> CIE 1976 L*a*b* under D65."""
    rgb = np.asarray(picture, dtype=np.float64) / 255.0
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz: NDArray[np.float64] = np.einsum("...i,ji->...j", linear, _XYZ_FROM_RGB) / _WHITE
    roots = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.einsum("...i,ji->...j", roots, _LAB_FROM_ROOTS) - np.array([16.0, 0.0, 0.0])


def mole_contrast(picture: NDArray[np.float64], mole: NDArray[np.float64]) -> float:
    """How much darker a mole is than the skin around it.

    The mean L* within 0.7 radii (0.7 pixels at least) against the median of a ring from 1.6 to 2.6 radii.

    Args:
        picture: (height, width, 3) L*a*b*.
        mole: x, y, radius in pixels.
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
    """How much the frame's line differs from the skin beside it: delta E of the median difference along the frame.

    Glasses change the color along the whole line in the same way; what crosses the line here and there does not
    move the median.

    Args:
        picture: (height, width, 3) L*a*b*.
        regions: whose frame, or standard frame, is looked at.

    Returns:
        0 where no skin is visible beside the frame.
    """
    reach = max(2, round(0.03 * picture.shape[0]))
    weight = _box_sum(regions.beside_frame.astype(np.float64), reach)
    used = regions.frame & (weight >= 3.0)
    if not used.any():
        return 0.0
    free = np.where(regions.beside_frame[..., None], picture, 0.0)
    beside = np.stack([_box_sum(free[..., i], reach)[used] for i in range(3)], axis=-1) / weight[used][:, None]
    return float(np.linalg.norm(np.median(picture[used] - beside, axis=0)))


def beard_contrast(picture: NDArray[np.float64], regions: Regions) -> float | None:
    """How much the skin below a beard, or below a standard one, differs from the cheeks.

    Hair changes the color, and single hairs make the lightness change from pixel to pixel. The contrast is the delta E
    between the median colors plus `TEXTURE_WEIGHT` times the difference of the textures. A texture is the median
    difference in L* between pixels side by side.

    Args:
        picture: (height, width, 3) L*a*b*.
        regions: where the beard is, or would be.

    Returns:
        None where chin or cheeks are hidden.
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
    """Sums over squares of 2 `reach` + 1 pixels, zeros beyond the border."""
    side = 2 * reach + 1
    total = np.cumsum(np.cumsum(np.pad(values, ((reach + 1, reach), (reach + 1, reach))), axis=0), axis=1)
    rows = total[side:] - total[:-side]
    return rows[:, side:] - rows[:, :-side]
