"""One run's predictions under many resamples of its test images at once.

A resample is a weight per image, how often it was drawn. Count metrics are then products of weights and counts, and
average precision is a sum along each class's ranking (``bench.evaluation.weighted_ranking``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.contracts import Protocol
from bench.evaluation import metrics, weighted_ranking
from bench.evaluation.bits import Mask
from bench.evaluation.evaluation import Means
from bench.evaluation.metrics.counts import counted_blocks
from bench.evaluation.weighted_ranking import WeightedRanking

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Values = NDArray[np.float64]
"""One metric, (resamples,)."""

USUAL = Protocol(name="usual@1", summary="what metrics are by where nothing else is asked for", k=1)


@dataclass(frozen=True, slots=True)
class Resampler:
    """One run's predictions, prepared so that each further resample is cheap; see ``prepare``.

    ``counted`` is (3 x labels, images): right predictions, predictions and true labels, of which an image has few.
    ``of_images`` are each image's precision, recall, F1 and, with scores, average precision of its ten best labels,
    (images, 3 or 4), NaN for an image without a label. ``ranking`` is absent without scores, and where ``prepare`` was
    not asked for it.
    """

    counted: csr_matrix
    of_images: Values
    ranking: WeightedRanking | None
    protocol: Protocol

    @property
    def empty(self) -> float:
        """Return what 0/0 is as a precision."""
        return 0.0 if self.protocol.no_predictions == "zero" else 1.0

    @property
    def labelled(self) -> int:
        """Return how many images have a label that counts."""
        return int(np.count_nonzero(~np.isnan(self.of_images[:, 1])))

    @property
    def mean_of_f1(self) -> bool:
        """Return whether C-F1 and I-F1 are means of F1, and not harmonic means of means."""
        return self.protocol.f1 == "mean_of_f1"

    def __call__(self, weights: NDArray[np.float32], mean_average_precision: Values | None = None) -> Resample:
        """Return the run under each row of ``weights`` (resamples, images), its mAP as given where it is known."""
        return Resample(self, weights, mean_average_precision)


@dataclass(frozen=True, eq=False)  # no slots: what several metrics need is kept beside the fields
class Resample:
    """A run under many weightings of its images, as ``bench.Metric.resampled`` takes it.

    ``weights`` is (resamples, images): how often each image was drawn. What is returned of each is (resamples,).
    """

    run: Resampler
    weights: NDArray[np.float32]
    known: Values | None = None

    @cached_property
    def class_counts(self) -> tuple[Values, Values, Values]:
        """Return right predictions, predictions and true labels of each class, (labels, resamples) each."""
        hits, chosen, positives = np.split((self.run.counted @ self._by_image).astype(np.float64), 3)
        return hits, chosen, positives

    @cached_property
    def class_means(self) -> Means[Values]:
        """Return C-P, C-R and C-F1."""
        hits, chosen, positives = self.class_counts
        defined = positives > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            count = defined.sum(axis=0)
            of_classes = np.where(chosen > 0, hits / chosen, self.run.empty)
            precision = np.where(defined, of_classes, 0.0).sum(axis=0) / count
            recall = np.where(defined, hits / positives, 0.0).sum(axis=0) / count
            if not self.run.mean_of_f1:
                return Means(precision, recall, harmonic_means(precision, recall))
            f1 = np.where(defined, 2 * hits / (chosen + positives), 0.0).sum(axis=0) / count
        return Means(precision, recall, f1)

    @cached_property
    def overall(self) -> Means[Values]:
        """Return O-P, O-R and O-F1."""
        hits, chosen, positives = (part.sum(axis=0) for part in self.class_counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = np.where(chosen > 0, hits / chosen, self.run.empty), hits / positives
            precision = np.where(positives > 0, precision, np.nan)
        return Means(precision, recall, harmonic_means(precision, recall))

    @cached_property
    def image_means(self) -> Means[Values]:
        """Return I-P, I-R and I-F1."""
        precision, recall, f1 = self._of_images[:3]
        return Means(precision, recall, f1 if self.run.mean_of_f1 else harmonic_means(precision, recall))

    @property
    def map_at_10_image(self) -> Values | None:
        """Return the mean over images of the average precision of the ten best labels; ``None`` without scores."""
        return self._of_images[3] if len(self._of_images) > 3 else None

    @property
    def mean_average_precision(self) -> Values | None:
        """Return the mean over classes of the average precision of the protocol's kind; ``None`` without scores."""
        ranking = self.run.ranking
        return self.known if ranking is None else ranking.mean_average_precision(self._by_image, self.run.protocol.ap)

    def mean_over_images(self, values: Values) -> Values:
        """Return the means of ``values``, (images, some), over the images drawn for which they are not NaN.

        They are (some, resamples).
        """
        there = ~np.isnan(values)
        both = np.concatenate([there, np.where(there, values, 0.0)], axis=1)
        drawn, total = np.split((self.weights.astype(np.float64) @ both).T, 2)
        mean: Values = np.divide(total, drawn, out=np.full_like(total, np.nan), where=drawn > 0)
        return mean

    @cached_property
    def _of_images(self) -> Values:
        return self.mean_over_images(self.run.of_images)

    @cached_property
    def _by_image(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.weights.T)


def prepare(
    truth: Mask,
    predicted: Mask,
    scores: NDArray[np.float32] | None,
    ignore: Mask | None = None,
    protocol: Protocol = USUAL,
    *,
    rank: bool = True,
) -> Resampler:
    """Return what resamples one run's predictions; all arrays are (images, labels). ``rank``: with its ``ranking``.

    Metrics are as ``bench.evaluation.metrics`` defines them and ``protocol`` chooses: its F1, its 0/0, its mAP; classes
    and images without a drawn positive are left out. ``ignore`` are the pairs that count not at all by it. Without
    ``scores`` there are neither mAP nor MAP@10_image.
    """
    from scipy.sparse import csr_matrix

    counts = metrics.image_counts(truth, predicted, ignore)
    recall = metrics.recall(counts)
    precision = np.where(np.isnan(recall), np.nan, metrics.precision(counts, protocol.no_predictions))
    f1 = np.where(
        np.isnan(recall), np.nan, 2 * counts.true_positives / np.maximum(counts.predicted + counts.positives, 1)
    )
    of_images = [precision, recall, f1]
    if scores is not None:
        of_images.append(metrics.map_at_k_image(truth, scores, 10, ignore))
    ranking = weighted_ranking.build(truth, scores, ignore) if scores is not None and rank else None
    (images, labels), rows, columns = truth.shape, [], []
    for some, parts in counted_blocks(truth, predicted, ignore):
        for number, part in enumerate(parts):
            image, label = np.nonzero(part)
            rows.append((label + number * labels).astype(np.int32))
            columns.append((image + some.start).astype(np.int32))
    places = (np.concatenate(rows), np.concatenate(columns))
    counted = csr_matrix((np.ones(len(places[0]), dtype=np.float32), places), shape=(3 * labels, images))
    return Resampler(counted, np.stack(of_images, axis=1), ranking, protocol)


def harmonic_means(first: Values, second: Values) -> Values:
    """Return 2ab / (a + b) in each resample, 0 where both are 0; undefined, NaN, where they are."""
    total = first + second
    result: Values = np.divide(2 * first * second, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)
    return result
