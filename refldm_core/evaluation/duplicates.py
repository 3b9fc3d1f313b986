"""Pictures that an evaluation must not count twice: files of equal content, recognized by their SHA-256."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .dataset import Finding
from .scores import Row


def find_duplicates(rows: Mapping[str, Sequence[Row]]) -> list[Finding]:
    """Find equal files among the true pictures and among the predictions of each method.

    Of equal true pictures the first counts. Of equal predictions for different true pictures none counts, since nobody
    knows to which of them the prediction belongs.

    Args:
        rows: Method -> its rows.
    """
    findings: dict[tuple[str, str], Finding] = {}
    for method, method_rows in rows.items():
        for first, *copies in _equal_files((row.truth_sha256, row.image) for row in method_rows):
            for copy in copies:
                findings["", copy] = Finding("duplicate", copy, f"the same file as {first}, which alone counts")
        truth_of = {row.image: row.truth_sha256 for row in method_rows}
        for images in _equal_files((row.prediction_sha256, row.image) for row in method_rows):
            # Equal true pictures may have equal predictions.
            if len({truth_of[image] for image in images}) > 1:
                detail = f"one and the same prediction for {', '.join(images)}; none of them counts"
                findings |= {(method, image): Finding("duplicate", image, detail, method) for image in images}
    return [finding for _, finding in sorted(findings.items())]


def without_duplicates(rows: Mapping[str, Sequence[Row]], duplicates: Iterable[Finding]) -> dict[str, list[Row]]:
    """Return the rows of each method that none of the findings of `find_duplicates` names."""
    excluded = {(finding.method, finding.what) for finding in duplicates}
    return {
        method: [row for row in method_rows if not {("", row.image), (method, row.image)} & excluded]
        for method, method_rows in rows.items()
    }


def _equal_files(pictures: Iterable[tuple[str, str]]) -> list[list[str]]:
    """(SHA-256, image) of pictures -> the images of each hash, in their order."""
    images: dict[str, list[str]] = defaultdict(list)
    for sha256, image in pictures:
        images[sha256].append(image)
    return list(images.values())
