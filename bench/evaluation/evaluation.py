"""What a metric is a function of: predictions on a test part, and what several metrics need of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind, Protocol
from bench.evaluation import metrics
from bench.evaluation.bits import Mask
from bench.evaluation.metrics import Counts
from bench.evaluation.protocols import AP_KINDS
from bench.records import LabelSets, Scores
from bench.records.checks import freeze

Number = TypeVar("Number")


class Means(NamedTuple, Generic[Number]):
    """Precision, recall and F1: of the images as they are, or in each of many resamples of them."""

    precision: Number
    recall: Number
    f1: Number


@dataclass(frozen=True, eq=False)  # no slots: what several metrics need is kept beside the fields
class Evaluation:
    """One model's predictions on a test part, as ``bench.Metric.function`` takes them.

    ``truth``, ``ignore`` and ``predicted`` are (images, labels), bool or packed bits: both give a block of images as
    bool by ``truth[rows]``. ``ignore`` marks pairs that count not at all; ``None``: all pairs count. ``scores.values``
    (images, labels) float32 may be memory-mapped, and larger than memory: read it in blocks, as ``bits.row_blocks``.
    ``sequences`` are a sequence model's labels in the order emitted, uncut; ``None`` for a model of scores.
    """

    protocol: Protocol
    labels: Sequence[str]
    truth: Mask
    ignore: Mask | None
    predicted: Mask
    scores: Scores
    sequences: LabelSets | None = None

    def __post_init__(self) -> None:
        # Metrics share all that is here: one that wrote on it would change what others say.
        for name in ("truth", "ignore", "predicted"):
            if isinstance(given := getattr(self, name), np.ndarray):
                freeze(own := given.view())
                object.__setattr__(self, name, own)

    @cached_property
    def class_counts(self) -> Counts:
        """Return true positives, predictions and positives of each class, (labels,)."""
        return metrics.class_counts(self.truth, self.predicted, self.ignore)

    @cached_property
    def image_counts(self) -> Counts:
        """Return true positives, predictions and positives of each image, (images,)."""
        return metrics.image_counts(self.truth, self.predicted, self.ignore)

    @cached_property
    def class_means(self) -> Means[float]:
        """Return C-P, C-R and C-F1."""
        return self._means(self.class_counts)

    @cached_property
    def image_means(self) -> Means[float]:
        """Return I-P, I-R and I-F1."""
        return self._means(self.image_counts)

    @cached_property
    def overall(self) -> Means[float]:
        """Return O-P, O-R and O-F1."""
        return Means(*metrics.micro(self.class_counts, self.protocol.no_predictions))

    @cached_property
    def ap(self) -> dict[ApKind, NDArray[np.float64]]:
        """Return each class's average precision of every kind, (labels,); NaN for a class without a positive.

        NaN too where the scores are label sets, which rank nothing; so are the two below.
        """
        if not self.scores.rank:
            return {kind: np.full(len(self.labels), np.nan) for kind in AP_KINDS}
        found = metrics.average_precisions(self.truth, self.scores.values, AP_KINDS, self.ignore)
        for values in found.values():
            freeze(values)
        return found

    @cached_property
    def map_at_10_image(self) -> float:
        """Return the mean over images of the average precision of the ten best labels."""
        if not self.scores.rank:
            return float("nan")
        return metrics.mean_defined(metrics.map_at_k_image(self.truth, self.scores.values, 10, self.ignore))

    @cached_property
    def map_at_10_class(self) -> float:
        """Return the mean over classes of the average precision of the images that hold it among their ten best."""
        if not self.scores.rank:
            return float("nan")
        return metrics.mean_defined(metrics.map_at_k_class(self.truth, self.scores.values, 10, self.ignore))

    def _means(self, counts: Counts) -> Means[float]:
        precision, recall, f1 = metrics.macro(counts, self.protocol.no_predictions)
        return Means(precision, recall, metrics.mean_of_f1(counts) if self.protocol.f1 == "mean_of_f1" else f1)
