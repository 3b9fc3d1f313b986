"""From linear light to a photograph: glare, white balance, tone curve, grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import LUMINANCE, Floats, clamp, srgb
from .conditions import Film
from .scipy_functions import blurred

_GLARE = 0.035
"""Share of the light that the lens scatters."""
_GLARE_WIDTH = 0.03
"""Standard deviation of the glare, as a fraction of the picture's height."""
_SOFTNESS = 0.4
"""Standard deviation in pixels of the blur of lens and sensor."""
_SHOULDER = (0.22, 0.55)
"""a and b of the tone curve x (1 + a x) / (1 + b x). It is close to linear in the shadows, 0.79 at 1, and 1 at 1.35."""
_VIGNETTE = 0.10


def develop(light: Floats, film: Film, seed: int) -> NDArray[np.uint8]:
    """Develop a picture.

    Args:
        light: (h, w, 3) linear; 1 is a white surface in good light.
        film: exposure, contrast, white balance and strength of the grain.
        seed: seed for the grain.

    Returns:
        (h, w, 3) uint8 sRGB.
    """
    height, width = light.shape[:2]
    sharp = np.asarray(light, dtype=np.float32) * np.float32(2.0**film.exposure)
    exposed = blurred(sharp, (_SOFTNESS, _SOFTNESS, 0.0))
    sigma = _GLARE_WIDTH * height
    glare = blurred(np.minimum(exposed, 4.0), (sigma, sigma, 0.0))
    exposed = exposed + _GLARE * (glare - exposed)
    white_balance = np.array([1.0 + 0.06 * film.warmth, 1.0, 1.0 - 0.07 * film.warmth])
    exposed = exposed * (white_balance / float(white_balance @ LUMINANCE))
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    exposed = exposed * (1.0 - _VIGNETTE * (x**2 + y**2) / 2.0)[..., None]
    a, b = _SHOULDER
    tones = srgb(exposed * (1.0 + a * exposed) / (1.0 + b * exposed))
    tones = tones + film.contrast * (tones * tones * (3.0 - 2.0 * tones) - tones)
    rng = np.random.default_rng([0x5F1, seed])
    grain = blurred(rng.normal(size=(height, width, 1)), (0.5, 0.5, 0.0)) + 0.35 * rng.normal(size=(height, width, 3))
    strength = film.grain / 255.0 * (1.25 - 0.7 * tones.mean(-1, keepdims=True))
    return (clamp(tones + strength * grain, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
