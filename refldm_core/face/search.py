"""Two searches of a picture of any size with a detection network for upright faces of moderate size.

The exhaustive search looks at the whole picture at several scales and at each turn, up to a scale at which the smallest
face is large enough for the network. Most of its time goes into places without a face.

The staged search looks at the whole picture at half of that scale only. The smallest faces are then too small for a
reliable decision, but the network is still a little confident of almost every one. Each such place is a candidate: the
staged search looks at a window around it at the finest scale. It does so at every turn. No stage is left out because
another one found something, so that small faces behind large ones are found, and faces on their side beside upright
ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .batches import find_in_batches
from .findings import Findings, Picture, is_covered, join, suppress
from .tiling import (
    RELIABLE_SIZE,
    drop_cut,
    finest_scale,
    overview_scales,
    resize,
    scale_back,
    scales,
    shift,
    tiles,
    turn_back,
    windows_around,
)

SearchMethod = Literal["staged", "exhaustive"]

_CANDIDATE = 0.1
"""Minimum confidence of a candidate, as a share of the threshold of a face. With half of this share, the embedded
detector finds no further face in pictures put together from four scenes."""
_WINDOW = 320
"""Pixels along each side of a window at the finest scale. A candidate takes up to half of it."""
_WINDOW_SCALES = (1.0, 0.7)
"""Scales of a window, as shares of the finest scale. A network's confidence depends on where a face lies among its
anchors. At one scale alone, the detector missed 2 of 128 faces that the exhaustive search finds."""


class FaceNetwork(Protocol):
    """A detection network for upright faces.

    Attributes:
        tile: Longest side, in pixels, of a picture that the network takes.
        threshold: Minimum confidence of a face in an upright picture, as the authors of the network chose it.
            Confidences of different networks are not comparable.
        turned_threshold: Minimum confidence of a face in a turned picture. Most pictures are upright, so a network with
            many false detections in turned pictures needs a higher value here.
        second_look: Whether each face must be confirmed, and its landmarks found again, in the face's aligned crops.
        metadata: Metadata from the file of the network.
    """

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def tile(self) -> int: ...

    @property
    def threshold(self) -> float: ...

    @property
    def turned_threshold(self) -> float: ...

    @property
    def second_look(self) -> bool: ...

    def find(self, picture: Picture, threshold: float) -> Findings:
        """Find the faces above `threshold` in one picture that is no larger than `tile`."""
        ...


@dataclass(frozen=True)
class Search:
    """The search of pictures with one network.

    Attributes:
        network: The network.
        turns: Quarter turns (counter-clockwise) at which a picture is searched.
        smallest: Size in pixels of the smallest face to search for. None for the default.
        threshold: Minimum confidence of a face. None for the network's own thresholds.
        overlap: Intersection over union above which two findings are the same face.
    """

    network: FaceNetwork
    turns: Sequence[int]
    smallest: float | None
    threshold: float | None
    overlap: float

    def exhaustive(self, picture: Picture) -> Iterator[Findings]:
        """Yield the findings of all turns and scales, in pixels of the picture."""
        for turn in self.turns:
            turned = np.ascontiguousarray(np.rot90(picture, turn))
            for scale in scales(picture.shape[:2], self.network.tile, self.smallest):
                findings = self._find_in_tiles(*resize(turned, scale), self._threshold(turn))
                yield turn_back(findings, turn, picture.shape[:2])

    def staged(self, picture: Picture) -> Iterator[Findings]:
        """Yield the findings of the overview and of the windows around candidates, in pixels of the picture."""
        size = picture.shape[:2]
        overviews = self._overviews(picture)
        confident = {
            turn: _select(findings, findings.scores > self._threshold(turn)) for turn, findings in overviews.items()
        }
        faces = join([turn_back(findings, turn, size) for turn, findings in confident.items()])
        yield faces
        for turn, overview in overviews.items():
            candidates = self._candidates(overview, turn, size, faces)
            yield turn_back(self._find_in_windows(picture, turn, candidates), turn, size)

    def _overviews(self, picture: Picture) -> dict[int, Findings]:
        """Return turn -> candidates in the whole picture, in pixels of the turned picture."""
        parts: dict[int, list[Findings]] = {turn: [] for turn in self.turns}
        for scale in overview_scales(picture.shape[:2], self.network.tile, self.smallest):
            resized, factors = resize(picture, scale)
            for turn in self.turns:
                parts[turn].append(self._find_in_overview(resized, factors, turn))
        return {turn: suppress(join(findings), self.overlap) for turn, findings in parts.items()}

    def _find_in_overview(self, resized: Picture, factors: tuple[float, float], turn: int) -> Findings:
        """Turn a picture that was resized by `factors`, and return its candidates in pixels of the turned picture."""
        turned_factors = (factors[1], factors[0]) if turn % 2 else factors
        return self._find_in_tiles(np.rot90(resized, turn), turned_factors, _CANDIDATE * self._threshold(turn))

    def _candidates(self, overview: Findings, turn: int, size: Sequence[int], faces: Findings) -> Findings:
        """Return the findings of a turn's overview about which the finest scale may know more.

        Args:
            overview: Findings in pixels of the turned picture.
            turn: The turn.
            size: (height, width) of the upright picture.
            faces: Faces of all turns that the overviews are sure of, in pixels of the upright picture.
        """
        lengths = np.maximum(overview.boxes[:, 2:] - overview.boxes[:, :2], 0.0)
        sides = np.sqrt(np.prod(lengths, axis=1))
        finest = finest_scale(size, self.smallest)
        uncertain = (overview.scores <= self._threshold(turn)) | (sides * finest < 2.0 * RELIABLE_SIZE)
        # A face looks a little like a face at the wrong turns too.
        decided = is_covered(turn_back(overview, turn, size), faces, self.overlap)
        return _select(overview, uncertain & ~decided & (sides * finest <= _WINDOW / 2.0))

    def _find_in_windows(self, picture: Picture, turn: int, candidates: Findings) -> Findings:
        """Search windows around candidates at the finest scale. All findings are in pixels of the turned picture."""
        turned = np.rot90(picture, turn)
        size, finest = turned.shape[:2], finest_scale(picture.shape[:2], self.smallest)
        side = int(min(_WINDOW, self.network.tile) / finest)
        corners = windows_around(candidates.boxes, side, size)
        searched_scales, threshold = [finest * share for share in _WINDOW_SCALES], self._threshold(turn)
        if len(corners) * side**2 > size[0] * size[1]:  # a crowd, for which tiles cost less
            contiguous = np.ascontiguousarray(turned)
            return join([self._find_in_tiles(*resize(contiguous, scale), threshold) for scale in searched_scales])
        crops = [np.ascontiguousarray(turned[top : top + side, left : left + side]) for left, top in corners]
        parts: list[Findings] = []
        for scale in searched_scales:
            resized = [resize(crop, scale) for crop in crops]
            findings_of_parts = find_in_batches(self.network, [window for window, _ in resized], threshold)
            for corner, crop, (_, factors), findings in zip(corners, crops, resized, findings_of_parts, strict=True):
                inside = drop_cut(scale_back(findings, (0, 0), factors), corner, crop.shape[:2], size)
                parts.append(shift(inside, corner))
        return join(parts)

    def _find_in_tiles(self, resized: Picture, factors: tuple[float, float], threshold: float) -> Findings:
        """Search a whole picture that was resized by `factors`, and return the findings in pixels before resizing."""
        placed = list(tiles(resized, self.network.tile))
        findings_of_parts = find_in_batches(self.network, [tile for _, _, tile in placed], threshold)
        parts: list[Findings] = []
        for (left, top, tile), findings in zip(placed, findings_of_parts, strict=True):
            inside = drop_cut(findings, (left, top), tile.shape[:2], resized.shape[:2])
            parts.append(scale_back(inside, (left, top), factors))
        return join(parts)

    def _threshold(self, turn: int) -> float:
        if self.threshold is not None:
            return self.threshold
        return self.network.threshold if turn == 0 else self.network.turned_threshold


def _select(findings: Findings, mask: NDArray[np.bool_]) -> Findings:
    return Findings(findings.boxes[mask], findings.scores[mask], findings.landmarks[mask])
