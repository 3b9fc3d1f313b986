"""Pictures of one size go through a detection network together, where the network can do it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from .findings import Findings, Picture, require_finite


class OneByOne(Protocol):
    """A network that takes one picture at a time (see `FaceNetwork`)."""

    def find(self, picture: Picture, threshold: float) -> Findings: ...


@runtime_checkable
class BatchNetwork(Protocol):
    """A network that takes several pictures at once."""

    def find_batch(self, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
        """Find the faces above `threshold` in pictures of one size. No picture's findings depend on another one."""
        ...


def find_in_batches(network: OneByOne, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
    """Find the faces above `threshold` in each picture. Sizes may differ.

    Raises:
        NotFiniteError: The network gave NaN or infinity.
    """
    if not isinstance(network, BatchNetwork):
        return [require_finite(network.find(picture, threshold)) for picture in pictures]
    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        places[picture.shape].append(i)
    findings: dict[int, Findings] = {}
    for indices in places.values():
        batch = network.find_batch([pictures[i] for i in indices], threshold)
        findings |= zip(indices, map(require_finite, batch), strict=True)
    return [findings[i] for i in range(len(pictures))]
