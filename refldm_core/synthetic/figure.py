"""The geometry of a person under given conditions, in decimeters: posed meshes, strands of hair, landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, rotation, smoothstep, unit
from .asset import head, normals
from .clothes import cloth_cover
from .conditions import Clothes, Conditions
from .facial_hair import beard_strands, brow_strands, lash_strands
from .glasses import glasses_mesh
from .hair import scalp_strands
from .scipy_functions import transposed
from .skin import SkinFields, skin_fields
from .strands import Strands
from .subdivision import Quads
from .traits import Person

_CLOTH_THICKNESS = 0.035
_PUPIL_DEPTH = 0.14
"""Decimeters from an eyeball's center to its surface."""
_NOSE_LANDMARK = np.array([0.0, 6.985, 1.66])
"""On the average head. Recognizers expect the tip of the nose a little above its foremost point."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A posed mesh: (n, 3) vertices, (m, 4) quads, (n, 3) unit normals."""

    vertices: NDArray[np.float32]
    quads: Quads
    normals: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Figure:
    """A posed person.

    Attributes:
        person: the person.
        clothes: the clothes.
        head_rotation: (3, 3) rotation of the head.
        eye_frame: (3, 3) rotation from the frame of the gaze to the scene.
        skin, eyes, teeth, tongue: posed meshes.
        glasses: posed mesh of the glasses; None if the person wears none.
        fields: colors of the skin at its vertices.
        gaze_directions: (n, 3) unit vectors from an eyeball's center to each vertex of the eyes, in the frame of the
            gaze, whose z axis is where the eye looks.
        strands: hair, brows, lashes, beard.
        landmarks: (5, 3), in the order of `face.types.Landmarks5`.
        center: (3,) the point between the eyes.
    """

    person: Person
    clothes: Clothes
    head_rotation: NDArray[np.float64]
    eye_frame: NDArray[np.float64]
    skin: Mesh
    eyes: Mesh
    teeth: Mesh
    tongue: Mesh
    glasses: Mesh | None
    fields: SkinFields
    gaze_directions: Floats
    strands: tuple[Strands, ...]
    landmarks: NDArray[np.float64]
    center: NDArray[np.float64]

    @property
    def face_outline(self) -> NDArray[np.bool_]:
        """(n,) whether each vertex of the skin is in the face's box, from the forehead to the chin and to the ears."""
        x, y, z = transposed(head().skin)
        return (y > 6.15) & (y < 7.95) & (z > 0.25) & (head().masks["ears"] < 0.5) & (np.abs(x) < 1.0)


@dataclass(frozen=True, eq=False)
class Body:
    """What does not depend on the conditions: a person's coarse vertices (n, 3), skin fields and grown hair."""

    vertices: NDArray[np.float64]
    fields: SkinFields
    hair: Strands | None


@lru_cache(maxsize=6)
def body(person: Person) -> Body:
    """Shape a person. This takes about 0.3 seconds with long hair; the last six people are cached."""
    asset = head()
    vertices = asset.base + asset.displacement(person.shape)
    return Body(vertices, skin_fields(person), scalp_strands(person, vertices))


@dataclass(frozen=True)
class _Turn:
    """A turn of the head on its neck: points below the neck stay, points above it turn, and those between bend."""

    pivot: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def __call__(self, points: Floats) -> NDArray[np.float32]:
        share = smoothstep(self.pivot[1] - 0.75, self.pivot[1] + 0.35, points[..., 1:2])
        turned = (points - self.pivot) @ transposed(self.rotation) + self.pivot
        return (points + share * (turned - points)).astype(np.float32)


def figure(person: Person, conditions: Conditions) -> Figure:
    """Pose a person."""
    asset, shape = head(), body(person)
    vertices = shape.vertices + asset.displacement(conditions.expression.units())
    pose = conditions.pose
    head_rotation = rotation(*np.radians([pose.yaw, -pose.pitch, -pose.roll]))
    turn = _Turn(asset.joint("neck", vertices) + np.array([0.0, 0.5, 0.1]), head_rotation)

    part = asset.parts["skin"]
    points = (part.matrix @ vertices).astype(np.float32)
    at_rest = normals(points, part.quads)
    cloth = cloth_cover(conditions.clothes, asset.skin, softness=0.06)
    points = points + at_rest * (_CLOTH_THICKNESS * cloth)[:, None].astype(np.float32)
    posed = turn(points)
    skin = Mesh(posed, part.quads, normals(posed, part.quads))
    eyes, gaze_directions, eye_rotation = _eyes(vertices, conditions, turn, head_rotation)
    hair = [*brow_strands(person, points, at_rest), *beard_strands(person, points, at_rest)]
    hair += lash_strands(person, vertices)
    if shape.hair is not None:
        hair.append(shape.hair)
    frame = None if person.glasses is None else glasses_mesh(person.glasses, shape.vertices)
    landmarks = turn(_landmarks(vertices)).astype(np.float64)
    return Figure(
        person=person,
        clothes=conditions.clothes,
        head_rotation=head_rotation,
        eye_frame=head_rotation @ eye_rotation,
        skin=skin,
        eyes=eyes,
        teeth=_mesh("teeth", vertices, turn),
        tongue=_mesh("tongue", vertices, turn),
        glasses=None if frame is None else Mesh(turn(frame[0]), frame[1], normals(turn(frame[0]), frame[1])),
        fields=shape.fields,
        gaze_directions=gaze_directions,
        strands=tuple(strands.moved(turn) for strands in hair),
        landmarks=landmarks,
        center=landmarks[:2].mean(0),
    )


def _mesh(name: str, vertices: NDArray[np.float64], turn: _Turn) -> Mesh:
    part = head().parts[name]
    posed = turn(part.matrix @ vertices)
    return Mesh(posed, part.quads, normals(posed, part.quads))


def _eyes(
    vertices: NDArray[np.float64], conditions: Conditions, turn: _Turn, head_rotation: NDArray[np.float64]
) -> tuple[Mesh, NDArray[np.float64], NDArray[np.float64]]:
    """Pose the eyeballs.

    Returns:
        Their mesh, the direction of each vertex in the frame of the gaze (n, 3), and the rotation (3, 3) from that
        frame to the head's.
    """
    asset, part = head(), head().parts["eyes"]
    rest = part.matrix @ asset.base
    points = np.asarray(part.matrix @ vertices, dtype=np.float64)
    # The gaze is relative to the camera, so the eyes turn back by what the head turned, as far as eyes can.
    right, up = conditions.expression.gaze
    gaze_direction = transposed(head_rotation) @ rotation(*np.radians([right, -up, 0.0]))[:, 2]
    yaw = clamp(np.arctan2(gaze_direction[0], gaze_direction[2]), -0.6, 0.6)
    pitch = clamp(np.arcsin(gaze_direction[1]), -0.4, 0.4)
    eye_rotation = rotation(float(yaw), -float(pitch), 0.0)
    directions = np.zeros_like(points)
    for name in ("l-eye", "r-eye"):
        of_eye = (rest[:, 0] > 0) == (name == "l-eye")
        center = asset.joint(name, vertices)
        directions[of_eye] = unit((points[of_eye] - center) @ eye_rotation)
    posed = turn(points)
    return Mesh(posed, part.quads, normals(posed, part.quads)), directions, eye_rotation


@lru_cache(maxsize=1)
def landmark_vertices() -> tuple[int, int, int]:
    """Return the coarse vertices of the tip of the nose and of the mouth's left and right corner as seen.

    The corners are the outermost points of the lips that lie on the face, not inside the mouth.
    """
    asset = head()
    matrix = asset.parts["skin"].matrix
    base = asset.base
    members = np.unique(matrix.indices)
    lips, inside = asset.coarse_masks["lips"], asset.coarse_masks["inside-mouth"]
    rim = members[(lips[members] > 0.3) & (inside[members] < 0.3) & (base[members, 2] > 1.38)]
    nose = members[np.linalg.norm(base[members] - _NOSE_LANDMARK, axis=1).argmin()]
    return int(nose), int(rim[base[rim, 0].argmin()]), int(rim[base[rim, 0].argmax()])


def _landmarks(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    nose, left, right = landmark_vertices()
    forward = np.array([0.0, 0.0, _PUPIL_DEPTH])
    eyes = [head().joint(name, vertices) + forward for name in ("r-eye", "l-eye")]
    return np.array([*eyes, vertices[nose], vertices[left], vertices[right]])
