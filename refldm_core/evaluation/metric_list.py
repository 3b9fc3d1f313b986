"""The names of the metrics of restored faces.

This module imports no library, so that the command line shows the names at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric: a column of the tables.

    Attributes:
        label: Heading of the column.
        better: 1 where a higher value is better, -1 where a lower value is better.
        digits: Number of digits after the decimal point.
        description: Explanation of the metric in the reports.
    """

    label: str
    better: int
    digits: int
    description: str


METRICS: dict[str, Metric] = {
    "ids": Metric("IDS", 1, 3, "identity similarity to the truth, by the measure of the recognizer"),
    "ids_second": Metric(
        "IDS, 2nd recognizer", 1, 3, "IDS by another recognizer, since a model can learn to please the first"
    ),
    "references": Metric("similarity to references", 1, 3, "mean similarity to the person's reference photos"),
    "references_second": Metric("to references, 2nd", 1, 3, "similarity to references by the second recognizer"),
    "psnr": Metric("PSNR", 1, 2, "peak signal-to-noise ratio in dB over all channels (torchmetrics)"),
    "ssim": Metric("SSIM", 1, 3, "structural similarity, mean of the RGB channels, 11 pixel Gaussian (torchmetrics)"),
    "lpips": Metric("LPIPS", -1, 3, "learned perceptual distance, version 0.1 with AlexNet (pyiqa)"),
    "fid": Metric("FID", -1, 2, "Frechet distance between all predictions and all truths (pyiqa, clean-fid)"),
    "niqe": Metric("NIQE", -1, 2, "naturalness, from the prediction alone (pyiqa)"),
    "musiq": Metric("MUSIQ", 1, 2, "quality, from the prediction alone (pyiqa, trained on KonIQ)"),
}
"""Name -> metric, in the order of the columns."""

IDENTITY = ("ids", "ids_second")
LIKENESS = {"ids": "references", "ids_second": "references_second"}
"""Metric of the identity -> metric of the similarity to references that the same recognizer judges."""
FIDELITY = ("psnr", "ssim")
LEARNED = ("lpips", "niqe", "musiq")
"""Metrics of single pictures whose weights pyiqa downloads."""
SETS = ("fid",)
"""Metrics of all pictures at once."""
