"""Render short videos of one person in front of a fixed camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..face.template import similarity, template
from .arrays import Floats, generator, smoothstep
from .backdrop import backdrop
from .camera import Camera
from .conditions import Conditions, Expression, Pose, conditions
from .figure import figure
from .film import develop
from .lighting import Illumination
from .portrait import composite
from .render import render
from .traits import Person

_STREAM = 0x5C1
FACE_SHARE = 0.62
"""Size of the face relative to its size in an aligned crop. It is smaller, so that the moving face stays visible."""
_BLINK_SECONDS = 0.32
_MAX_FRAMES = 3000


@dataclass(frozen=True, eq=False)
class Clip:
    """A video.

    Attributes:
        frames: (n, size, size, 3) uint8 sRGB.
        landmarks: (n, 5, 2) float64 pixels, as `face.types.Landmarks5`.
        faces: (n, size, size) bool, the visible face without hair.
        rate: frames per second.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    faces: NDArray[np.bool_]
    rate: float


def clip(person: Person, seed: int, frames: int, size: int = 256, *, rate: float = 25.0) -> Clip:
    """Render a video of a person who turns the head a little, talks, smiles and blinks.

    Args:
        person: the person to show.
        seed: seed of motion, light, clothes and background.
        frames: number of frames, 1 to 3,000.
        size: pixels along each side, at least 32.
        rate: frames per second, above 0. The motion takes the same time at any rate.

    Raises:
        SettingsError: a number is outside its range, or the seed is negative.
    """
    if not 0 < frames <= _MAX_FRAMES or size < 32 or rate <= 0:
        raise SettingsError(
            f"A video of {frames} frames of {size} pixels at {rate} frames per second cannot be rendered.",
            expected=f"1 to {_MAX_FRAMES} frames of at least 32 pixels, and a positive rate",
            remedy="choose other numbers",
        )
    base = conditions(seed)
    motion = _Motion.sample(generator(_STREAM, seed), frames / rate)
    camera = _fixed_camera(person, base, size)
    background = backdrop(base.place, base.place_seed, size, size, base.blur)
    light = Illumination.of(base.light, background)
    pictures = np.zeros((frames, size, size, 3), np.uint8)
    landmarks, faces = np.zeros((frames, 5, 2)), np.zeros((frames, size, size), np.bool_)
    for k in range(frames):
        posed = figure(person, motion.at(k / rate, base))
        rendering = render(posed, camera, light, size, size)
        pictures[k] = develop(composite(rendering, background, person), base.film, base.seed + k)
        landmarks[k] = camera.project(posed.landmarks)
        faces[k] = rendering.covers["face"] > 0.5
    return Clip(pictures, landmarks, faces, rate)


def _fixed_camera(person: Person, base: Conditions, size: int) -> Camera:
    """Return a camera that shows the face smaller than an aligned crop does, around the same point.

    The face looks straight ahead without expression.
    """
    posed = figure(person, replace(base, pose=Pose(0.0, 0.0, 0.0), expression=Expression()))
    first = Camera(posed.center, base.distance, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    middle = 0.5 * (size - 1)
    smaller = (template(size) - middle) * FACE_SHARE + middle
    return Camera(posed.center, base.distance, similarity(first.plane(posed.landmarks), smaller))


@dataclass(frozen=True, eq=False)
class _Wave:
    """A sum of sines: amplitudes, frequencies in hertz and phases, all (n,)."""

    amplitudes: Floats
    frequencies: Floats
    phases: Floats

    @staticmethod
    def sample(rng: np.random.Generator, deviation: float, slowest: float, fastest: float, count: int = 4) -> _Wave:
        amplitudes = np.full(count, deviation * np.sqrt(2.0 / count))
        return _Wave(amplitudes, rng.uniform(slowest, fastest, count), rng.uniform(0.0, 2.0 * np.pi, count))

    def __call__(self, seconds: float) -> float:
        return float((self.amplitudes * np.sin(2.0 * np.pi * self.frequencies * seconds + self.phases)).sum())


@dataclass(frozen=True, eq=False)
class _Motion:
    """Motions of the head and the face as functions of the time in seconds. `blinks` has the middle of each blink."""

    yaw: _Wave
    pitch: _Wave
    roll: _Wave
    smile: _Wave
    talk: _Wave
    brows: _Wave
    gaze: tuple[_Wave, _Wave]
    blinks: Floats

    @staticmethod
    def sample(rng: np.random.Generator, seconds: float) -> _Motion:
        yaw, pitch, roll = (_Wave.sample(rng, degrees, 0.08, 0.45) for degrees in (7.0, 3.5, 2.5))
        smile, brows = _Wave.sample(rng, 0.3, 0.08, 0.3), _Wave.sample(rng, 0.15, 0.1, 0.4)
        talk = _Wave.sample(rng, 0.16, 0.6, 2.0)
        gaze = (_Wave.sample(rng, 3.0, 0.1, 0.5), _Wave.sample(rng, 1.5, 0.1, 0.5))
        blinks = np.cumsum(rng.uniform(1.5, 4.5, 1 + int(seconds / 1.5)))
        return _Motion(yaw, pitch, roll, smile, talk, brows, gaze, blinks - rng.uniform(0.0, 1.5))

    def at(self, seconds: float, base: Conditions) -> Conditions:
        """Return the conditions at one time. Light, clothes and background are those of `base`."""
        distance = np.abs(self.blinks - seconds) / (0.5 * _BLINK_SECONDS)
        expression = Expression(
            smile=_soft_clip(0.35 + self.smile(seconds)),
            open=_soft_clip(0.12 + self.talk(seconds)),
            raise_brows=_soft_clip(0.05 + self.brows(seconds)),
            blink=float(smoothstep(1.0, 0.1, distance).max()),
            gaze=(self.gaze[0](seconds), self.gaze[1](seconds)),
        )
        pose = Pose(self.yaw(seconds), self.pitch(seconds), self.roll(seconds))
        return replace(base, pose=pose, expression=expression)


def _soft_clip(value: float) -> float:
    """Limit a value to 0 to 1 with a smooth curve, which has no corners at 0 and 1."""
    low = 0.5 * (value + np.hypot(value, 0.1))
    return float(1.0 - 0.5 * ((1.0 - low) + np.hypot(1.0 - low, 0.1)))
