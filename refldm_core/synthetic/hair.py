"""Hair of the head: guide strands are combed over the scalp step by step; many strands follow the guides near them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, linear, smoothstep, unit
from .asset import head, normals
from .hairline import scalp_cover
from .hairstyles import CUTS, FALLING, PARTED, Cut
from .scipy_functions import Tree, transposed, tree
from .strands import Roots, Strands, scatter, shades
from .traits import Hair, HairStyle, Person

_STREAM = 0x5FB
_GUIDES = 1200
_STRANDS = 14000
"""Number of strands of hair up to `_FULL_LENGTH` decimeters. Longer hair covers as much with fewer."""
_FULL_LENGTH = 0.75
_FEWEST_STRANDS = 4800
_WIDTH = 0.0105
"""Width of a strand in decimeters. It stands for some ten hairs, so that 14,000 strands cover a scalp."""
_TIE = np.array([0.0, 7.55, -0.95])
"""Where tied hair is gathered, on the average head."""


def scalp_strands(person: Person, vertices: NDArray[np.float64]) -> Strands | None:
    """Grow the hair of a person's head.

    Args:
        person: the person.
        vertices: (n, 3) coarse vertices of the neutral head.

    Returns:
        Strands on the neutral head before it turns; None for a bald head.
    """
    hair = person.hair
    if hair.style == "bald":
        return None
    rng = np.random.default_rng([_STREAM, person.seed])
    scalp = _Scalp.of(vertices)
    cut, cover = CUTS[hair.style], scalp_cover(hair)
    guides = _Guides.grown(hair, cut, scalp, scatter(cover, _GUIDES, rng), rng)
    guides = guides.select(~_hangs_before_face(guides.nodes, guides.is_fringe, scalp, hair.style))
    count = max(_FEWEST_STRANDS, round(_STRANDS * min(1.0, _FULL_LENGTH / (cut.length * hair.length))))
    roots = scatter(cover, count, rng)
    nodes, leaders = _followers(hair, cut, scalp, guides=guides, roots=roots, rng=rng)
    keep = ~_hangs_before_face(nodes, guides.is_fringe[leaders], scalp, hair.style)
    nodes, leaders = nodes[keep], leaders[keep]
    edge = roots.at(cover)[keep]
    if hair.style == "tied":
        bun = _bun(scalp, hair, rng)
        nodes, edge = np.concatenate([nodes, bun]), np.concatenate([edge, np.ones(len(bun))])
    thin = (0.35 + 0.65 * smoothstep(0.1, 0.8, edge)) * rng.uniform(0.75, 1.2, len(nodes))
    tone = np.concatenate(
        [rng.normal(1.0, 0.16, len(guides.nodes))[leaders], rng.normal(1.0, 0.1, len(nodes) - len(leaders))]
    )
    color = shades(linear(hair.color), hair.gray, len(nodes), rng) * clamp(tone, 0.6, 1.5)[:, None]
    return Strands(nodes.astype(np.float32), color.astype(np.float32), _WIDTH, "hair", thin.astype(np.float32))


@dataclass(frozen=True, eq=False)
class _Scalp:
    """The neutral skin.

    Attributes:
        points, normals: (n, 3) fine vertices and their normals.
        tree: finds the nearest of every third vertex.
        eyes: (3,) point between the eyes.
        stretch: (3,) offset of that point from its position on the average head.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    tree: Tree
    eyes: NDArray[np.float64]
    stretch: NDArray[np.float64]

    @staticmethod
    def of(vertices: NDArray[np.float64]) -> _Scalp:
        asset = head()
        part = asset.parts["skin"]
        points = np.asarray(part.matrix @ vertices, dtype=np.float64)
        normal = normals(points, part.quads).astype(np.float64)
        eyes = 0.5 * (asset.joint("l-eye", vertices) + asset.joint("r-eye", vertices))
        rest_eyes = 0.5 * (asset.joint("l-eye", asset.base) + asset.joint("r-eye", asset.base))
        return _Scalp(points, normal, tree(points[::3]), eyes, eyes - rest_eyes)

    def nearest(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the nearest point of the skin and its normal for each of (n, 3) points."""
        index = 3 * self.tree.query(points)[1]
        return self.points[index], self.normals[index]


@dataclass(frozen=True, eq=False)
class _Guides:
    """Combed strands.

    Attributes:
        nodes: (n, m, 3) from root to tip.
        rest: (n, 3) roots on the average head.
        is_fringe: (n,) whether the strand belongs to the fringe.
    """

    nodes: NDArray[np.float64]
    rest: NDArray[np.float64]
    is_fringe: NDArray[np.bool_]

    def select(self, keep: NDArray[np.bool_]) -> _Guides:
        return _Guides(self.nodes[keep], self.rest[keep], self.is_fringe[keep])

    @staticmethod
    def grown(hair: Hair, cut: Cut, scalp: _Scalp, roots: Roots, rng: np.random.Generator) -> _Guides:
        rest = np.asarray(roots.at(head().skin), dtype=np.float64)
        start, outward = roots.at(scalp.points), unit(roots.at(scalp.normals))
        low = smoothstep(8.05, 7.35, rest[:, 1])
        length = cut.length * hair.length * (1.0 + (cut.sides - 1.0) * low) * rng.uniform(0.85, 1.08, len(rest))
        comb, is_fringe = _combing(hair, rest, low, rng)
        if is_fringe.any():
            short = rng.uniform(0.44, 0.60, len(rest)) if cut.length > 1.0 else rng.uniform(0.26, 0.40, len(rest))
            length = np.where(is_fringe, np.minimum(length, short), length)
        if hair.style == "tied":
            length = np.linalg.norm(start - (_TIE + scalp.stretch), axis=1) * 1.12
        near_part = np.exp(-(((rest[:, 0] - hair.part) / 0.3) ** 2)) * (hair.style in PARTED)
        if hair.style == "tied":  # flat all over
            near_part = np.ones(len(rest))
        offset = rng.uniform(0.2, 1.0, len(rest)) * cut.offset * hair.volume * (1.0 - 0.6 * near_part)
        nodes = _grow(
            cut,
            scalp,
            start=start,
            outward=outward,
            length=length,
            comb=comb,
            offset=offset,
            is_fringe=is_fringe,
            near_part=near_part,
            tied=hair.style == "tied",
        )
        return _Guides(nodes, rest, is_fringe)


def _hangs_before_face(
    nodes: NDArray[np.float64], is_fringe: NDArray[np.bool_], scalp: _Scalp, style: HairStyle
) -> NDArray[np.bool_]:
    """Return which strands hang before the face, (n,)."""
    if style not in FALLING:
        return np.zeros(len(nodes), dtype=bool)
    x, y, z = np.moveaxis(nodes - scalp.eyes, -1, 0)
    brow, cheek = (np.abs(x) < 0.50) & (y < 0.28), (np.abs(x) < 0.63) & (y < 0.12)
    return ((brow | cheek) & (z > -0.3)).any(1) & ~is_fringe


def _combing(
    hair: Hair, rest: NDArray[np.float64], low: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the direction in which hair is combed at each root, (n, 3), and whether it belongs to the fringe, (n,)."""
    x, y, z = transposed(rest)
    front = smoothstep(0.5, 1.25, z) * smoothstep(7.5, 7.9, y)
    away = np.where(x > hair.part, 1.0, -1.0)
    ones = np.ones_like(x)
    if hair.style in ("swept", "tied"):
        comb = np.stack([0.12 * x, 0.0 * x, -1.2 * ones], 1)
    elif hair.style == "crop":
        forward = front * (1.0 if hair.fringe else 0.25)
        comb = np.stack(
            [0.3 * np.sign(hair.part) * ones, 0.3 * (1 - low) - 0.5 * low, forward - 0.5 * (1 - forward)], 1
        )
    elif hair.style == "parted":
        comb = np.stack([away * 0.9, -0.1 * ones, -0.45 - 0.35 * front], 1) * (1.0 - 0.6 * low[:, None])
    else:
        comb = np.stack([away * 0.8, -0.1 * ones, -0.35 - 0.55 * front], 1) * (1.0 - 0.8 * low[:, None])
    comb = comb + rng.normal(0.0, 0.06, comb.shape)
    is_fringe = (front > 0.45) & (np.abs(x) < 0.50) & hair.fringe
    is_fringe &= hair.style in ("bob", "shoulder", "long")
    sweep = np.stack([0.35 * np.sign(hair.part) + 0.25 * x, -1.0 * ones, 0.7 * ones], 1)
    return np.where(is_fringe[:, None], sweep, comb), is_fringe


def _grow(
    cut: Cut,
    scalp: _Scalp,
    *,
    start: Floats,
    outward: Floats,
    length: Floats,
    comb: NDArray[np.float64],
    offset: Floats,
    is_fringe: NDArray[np.bool_],
    near_part: Floats,
    tied: bool,
) -> NDArray[np.float64]:
    """Grow strands node by node: (n, m, 3).

    Each step turns a strand toward the direction in which it is combed and downward, and keeps it off the skin.
    """
    down = np.array([0.0, -1.0, 0.0])
    point, direction = np.array(start), unit(outward * (1.0 - 0.85 * near_part[:, None]) + comb * near_part[:, None])
    nodes = [point]
    target = _TIE + scalp.stretch
    for k in range(1, cut.nodes):
        t = k / cut.nodes
        _, normal = scalp.nearest(point)
        hold = clamp(1.0 - t * max(cut.length / (0.9 * cut.comb + 0.05), 0.8), 0.0, 1.0)
        hold = np.where(is_fringe, 1.0 - 0.8 * t, max(hold, 0.2 if cut.comb >= 0.8 else 0.0))[:, None]
        aim = unit(target - point) if tied else comb
        desired = (
            cut.lift * (1.0 - t) ** 3 * (1.0 - near_part[:, None]) * normal
            + aim * hold
            + cut.gravity * (0.35 + 1.2 * t) * down
        )
        inward = np.minimum((desired * normal).sum(1, keepdims=True), 0.0)
        direction = unit(0.5 * direction + 0.5 * unit(desired - 0.9 * inward * normal))
        point = point + direction * (length / (cut.nodes - 1))[:, None]
        skin, normal = scalp.nearest(point)
        height = ((point - skin) * normal).sum(1)
        least_height = np.minimum(offset, 0.015 + 0.6 * length * t)
        pushed = (height < least_height)[:, None]
        point = point + normal * clamp(least_height - height, 0.0, 0.2)[:, None]
        inward = np.minimum((direction * normal).sum(1, keepdims=True), 0.0)
        direction = np.where(pushed, direction - normal * inward, direction)
        nodes.append(point)
    return np.stack(nodes, 1)


def _followers(
    hair: Hair, cut: Cut, scalp: _Scalp, *, guides: _Guides, roots: Roots, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Grow strands between the guides around them.

    Returns:
        Nodes (n, m, 3), and the index (n,) of the guide toward whose tip each strand is drawn.
    """
    rest = roots.at(head().skin)
    distance, near = tree(guides.rest).query(rest, k=3)
    same_side = np.sign(guides.rest[near, 0] - hair.part) == np.sign(rest[:, :1] - hair.part)
    weight = (same_side if hair.style in PARTED else np.ones_like(same_side)) / (distance + 0.02) ** 1.5 + 1e-6
    weight /= weight.sum(1, keepdims=True)
    leader = near[np.arange(len(near)), np.argmax(weight, 1)]
    start = roots.at(scalp.points)
    t = np.linspace(0.0, 1.0, cut.nodes)[None, :, None]
    form = np.einsum("nk,nkmc->nmc", weight, guides.nodes[near] - guides.nodes[near][:, :, :1])
    nodes = start[:, None] + form * rng.uniform(0.85, 1.06, (len(start), 1, 1))
    leader_nodes = guides.nodes[leader]
    clumped = leader_nodes + 0.4 * (start - leader_nodes[:, 0])[:, None]
    clump = cut.clump * rng.uniform(0.5, 1.2, (len(start), 1, 1)) * t**1.2
    nodes = nodes + (clumped - nodes) * np.minimum(clump, 1.0) + rng.normal(0.0, 0.01, (len(start), 1, 3)) * t
    if cut.frizz:
        steps = rng.normal(0.0, cut.frizz, (len(start), cut.nodes, 3))
        nodes = nodes + _accumulated(steps) * t
    stray = rng.random((len(start), 1, 1)) < 0.04
    nodes = nodes + stray * rng.normal(0.0, 0.05, (len(start), 1, 3)) * t**2
    if hair.curl > 0.002:
        nodes = nodes + _curls(hair, cut, leader, rng)
    return nodes, leader


def _accumulated(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of all steps up to each one, (n, m, 3)."""
    return np.asarray(np.einsum("nkc,km->nmc", steps, np.triu(np.ones((steps.shape[1],) * 2))), np.float64)


def _curls(hair: Hair, cut: Cut, leader: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the offsets of a coil around each strand, (n, m, 3). Strands of one guide coil together."""
    phase = rng.uniform(0.0, 2.0 * np.pi, int(leader.max()) + 1)[leader][:, None]
    if hair.style in ("curly", "afro"):
        phase = phase + rng.normal(0.0, 0.8, phase.shape)
    along = np.linspace(0.0, 1.0, cut.nodes)[None]
    pitch = 0.16 if hair.style == "afro" else 0.34 if hair.style == "curly" else 0.62
    turns = 2.0 * np.pi * along * cut.length * hair.length / pitch
    size = hair.curl * smoothstep(0.0, 0.35, along)
    angle = turns + phase
    return np.stack([size * np.cos(angle), 0.4 * size * np.cos(angle + 1.0), size * np.sin(angle)], -1)


def _bun(scalp: _Scalp, hair: Hair, rng: np.random.Generator, count: int = 900) -> NDArray[np.float64]:
    """Wind strands (n, m, 3) around a ball behind the head."""
    nodes = CUTS["tied"].nodes
    radius = 0.26 * hair.length * rng.uniform(0.85, 1.0, (count, 1, 1))
    axis = unit(rng.normal(0.0, 1.0, (count, 3)) * np.array([1.0, 1.0, 0.4]))
    axis_1 = unit(np.cross(axis, np.array([0.1, 0.2, 1.0])))
    axis_2 = np.cross(axis, axis_1)
    angle = (rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0.0, 2.2, nodes)[None])[..., None]
    center = _TIE + scalp.stretch + np.array([0.0, 0.08, -0.12])
    return center + radius * (np.cos(angle) * axis_1[:, None] + np.sin(angle) * axis_2[:, None])
