"""What changes from one picture of a person to the next: pose, expression, light, clothes, background, camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .arrays import RGB, clamp, generator, rgb

_STREAM = 0x5C0

Place = Literal["room", "street", "garden", "wall", "night"]
Garment = Literal["crew", "vee", "collar", "roll"]

_PLACES: tuple[Place, ...] = ("room", "room", "street", "street", "garden", "garden", "wall", "night")
_GARMENTS: tuple[Garment, ...] = ("crew", "crew", "vee", "collar", "roll")


@dataclass(frozen=True)
class Pose:
    """Pose of the head in degrees: yaw turns the face to the right as seen, pitch up, roll clockwise as seen."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Expression:
    """A facial expression.

    Attributes:
        smile, open, raise_brows, frown, squint, pucker: strength of each movement, 0 to 1.
        blink: 0 (open) to 1 (closed).
        gaze: degrees that the eyes look right as seen and up, relative to the camera.
    """

    smile: float = 0.0
    open: float = 0.0
    raise_brows: float = 0.0
    frown: float = 0.0
    squint: float = 0.0
    pucker: float = 0.0
    blink: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)

    def units(self) -> tuple[tuple[str, float], ...]:
        """Return the weights of the asset's face units."""
        teeth = self.smile * self.open
        sides = {
            "mouthSmile": 0.95 * self.smile,
            "cheekSquint": 0.45 * self.smile,
            "eyeSquint": 0.15 * self.smile + 0.6 * self.squint,
            "mouthUpperUp": 0.95 * teeth,
            "mouthLowerDown": 0.55 * teeth,
            "mouthStretch": 0.20 * teeth,
            "browDown": 0.55 * self.frown,
            "mouthPress": 0.35 * self.frown,
            "browOuterUp": 0.55 * self.raise_brows,
            "eyeWide": 0.30 * self.raise_brows,
            "eyeBlink": self.blink,
            "eyeLookUp": max(0.0, self.gaze[1]) / 40.0,
            "eyeLookDown": max(0.0, -self.gaze[1]) / 40.0,
        }
        middle = {
            "jawOpen": 0.34 * self.open * (1.0 - 0.45 * self.smile),
            "browInnerUp": 0.55 * self.raise_brows,
            "mouthPucker": 0.5 * self.pucker,
        }
        units = [(name + side, weight) for name, weight in sides.items() for side in ("Left", "Right")]
        return tuple((name, weight) for name, weight in [*units, *middle.items()] if weight > 1e-4)


@dataclass(frozen=True)
class Lamp:
    """A distant lamp.

    Attributes:
        azimuth: degrees from the direction of the camera, positive to the right as seen.
        elevation: degrees upward.
        color: linear; its mean is 1.
        strength: irradiance of a surface that faces the lamp.
    """

    azimuth: float
    elevation: float
    color: RGB
    strength: float


@dataclass(frozen=True)
class Light:
    """Light on a person.

    Attributes:
        key: the main lamp, which throws shadows.
        fill: lamp that lights the other side of the face.
        rim: lamp behind the person.
        ambient: strength of the light from all around.
        softness: blur of the shadows in decimeters.
    """

    key: Lamp
    fill: Lamp
    rim: Lamp
    ambient: float
    softness: float


@dataclass(frozen=True)
class Clothes:
    """The garment, its sRGB color, and the seed for its weave and folds."""

    garment: Garment
    color: RGB
    seed: int


@dataclass(frozen=True)
class Film:
    """How a photo is developed.

    Attributes:
        exposure: stops; linear light is multiplied by 2 to this power.
        contrast: strength of the S-shaped tone curve, 0 to 0.5.
        warmth: white balance, about -1 (bluish) to 1 (reddish).
        grain: deviation of the grain in sRGB steps of 1/255.
    """

    exposure: float
    contrast: float
    warmth: float
    grain: float


@dataclass(frozen=True)
class Conditions:
    """Everything about a picture except the person.

    Attributes:
        place: kind of place that the background shows.
        place_seed: seed for everything in the background.
        blur: radius of the background's blur disk, as a fraction of the picture's height.
        distance: decimeters from the camera to the face.
        seed: seed for the grain.
    """

    pose: Pose
    expression: Expression
    light: Light
    clothes: Clothes
    place: Place
    place_seed: int
    blur: float
    distance: float
    film: Film
    seed: int


def conditions(seed: int) -> Conditions:
    """Draw conditions. Most faces turn less than 20 degrees to a side; about one in six turns more, up to 55.

    Raises:
        SettingsError: the seed is negative.
    """
    rng = generator(_STREAM, seed)
    place = _PLACES[int(rng.integers(len(_PLACES)))]
    pose = _pose(rng)
    return Conditions(
        pose=pose,
        expression=_expression(rng, pose),
        light=_light(rng, place),
        clothes=Clothes(_GARMENTS[int(rng.integers(len(_GARMENTS)))], _cloth_color(rng), int(rng.integers(2**31))),
        place=place,
        place_seed=int(rng.integers(2**31)),
        blur=float(rng.uniform(0.022, 0.06)),
        distance=float(rng.uniform(9.0, 20.0)),
        film=Film(
            exposure=float(clamp(rng.normal(0.45, 0.2), 0.0, 0.85)),
            contrast=float(rng.uniform(0.15, 0.5)),
            warmth=float(rng.normal(0.0, 0.35)),
            grain=float(rng.uniform(0.5, 2.2)),
        ),
        seed=seed,
    )


def _pose(rng: np.random.Generator) -> Pose:
    turned_far = rng.random() < 0.12
    yaw = rng.choice([-1.0, 1.0]) * rng.uniform(20.0, 55.0) if turned_far else rng.normal(0.0, 10.0)
    return Pose(
        float(clamp(yaw, -55.0, 55.0)),
        float(clamp(rng.normal(0.0, 6.0), -22.0, 18.0)),
        float(clamp(rng.normal(0.0, 5.0), -20.0, 20.0)),
    )


def _expression(rng: np.random.Generator, pose: Pose) -> Expression:
    kind = str(
        rng.choice(["calm", "smile", "laugh", "talk", "frown", "amused"], p=[0.28, 0.22, 0.27, 0.07, 0.05, 0.11])
    )
    strength = float(rng.uniform(0.6, 1.0))
    smile = {"smile": 0.75, "laugh": 1.0, "amused": 0.4, "calm": 0.2, "talk": 0.2}.get(kind, 0.0) * strength
    mouth = {"laugh": rng.uniform(0.5, 1.0), "talk": rng.uniform(0.2, 0.7), "amused": 0.1}.get(kind, 0.0)
    away = rng.random() < 0.15
    gaze = (rng.normal(0.0, 14.0), rng.normal(0.0, 6.0)) if away else (rng.normal(0.0, 1.5), rng.normal(0.0, 1.0))
    return Expression(
        smile=smile,
        open=float(mouth),
        raise_brows=float(max(0.0, rng.normal(0.05, 0.22))),
        frown=strength if kind == "frown" else 0.0,
        squint=float(rng.uniform(0.0, 0.35)) if rng.random() < 0.3 else 0.0,
        pucker=float(rng.uniform(0.2, 0.7)) if kind == "talk" and rng.random() < 0.5 else 0.0,
        blink=float(rng.uniform(0.0, 0.12)),
        gaze=(float(gaze[0]), float(gaze[1])),
    )


_WARM, _COOL = np.array([1.13, 1.0, 0.80]), np.array([0.90, 1.0, 1.14])


def _tint(rng: np.random.Generator, warmth: float) -> RGB:
    """Draw the color of a light near a warmth: -1 is blue sky, 1 a light bulb."""
    varied = float(clamp(warmth + rng.normal(0.0, 0.25), -1.0, 1.0))
    color = 1.0 + (varied * (_WARM - 1.0) if varied > 0 else -varied * (_COOL - 1.0))
    return rgb(color / color.mean())


def _light(rng: np.random.Generator, place: Place) -> Light:
    sunny = place in ("street", "garden") and rng.random() < 0.4
    side = float(rng.choice([-1.0, 1.0]))
    azimuth = side * float(clamp(abs(rng.normal(36.0, 20.0)), 5.0, 80.0))
    warmth = {"room": 0.35, "night": 0.6, "wall": 0.1}.get(place, 0.0) + (0.25 if sunny else 0.0)
    key = Lamp(
        azimuth,
        float(rng.uniform(12.0, 48.0)),
        _tint(rng, warmth),
        float(rng.uniform(1.5, 2.6) if sunny else rng.uniform(0.9, 1.9)),
    )
    fill = Lamp(
        -side * float(rng.uniform(25.0, 70.0)),
        float(rng.uniform(-8.0, 25.0)),
        _tint(rng, 0.0),
        float(rng.uniform(0.08, 0.4)),
    )
    rim = Lamp(
        -side * float(rng.uniform(120.0, 155.0)),
        float(rng.uniform(10.0, 45.0)),
        _tint(rng, 0.1),
        float(rng.uniform(0.0, 1.4)),
    )
    return Light(key, fill, rim, float(rng.uniform(0.4, 0.8)), 0.035 if sunny else float(rng.uniform(0.07, 0.16)))


def _cloth_color(rng: np.random.Generator) -> RGB:
    tone = float(rng.choice([rng.uniform(0.08, 0.25), rng.uniform(0.3, 0.6), rng.uniform(0.7, 0.93)]))
    return rgb(clamp(tone + rng.normal(0.0, 0.07, 3), 0.04, 0.95))
