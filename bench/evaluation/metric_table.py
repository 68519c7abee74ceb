"""Every metric, one record each: measuring, tables, reports, error bars, validation and trackers read this table.

A new metric is a new record here and a test; docs/metrics.md names it. Runs stored before it are shown without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind, Metric
from bench.errors import UsageError
from bench.evaluation import metrics
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.protocols import AP_KINDS


def labels_per_image(evaluation: Evaluation) -> float:
    """Return the mean number of labels predicted, ignored pairs left out."""
    return int(evaluation.class_counts.predicted.sum()) / len(evaluation.scores.ids)


def map_at_10(evaluation: Evaluation) -> float:
    """Return MAP@10 as the protocol defines it: per image or per class."""
    per_image = evaluation.protocol.map_at_10 == "image"
    return evaluation.map_at_10_image if per_image else evaluation.map_at_10_class


def mean_average_precision(kind: ApKind | None = None) -> Callable[[Evaluation], float]:
    """Return the mAP of ``kind``; ``None``: of the protocol's kind."""
    return lambda evaluation: metrics.mean_defined(evaluation.ap[kind or evaluation.protocol.ap])


METRICS: tuple[Metric, ...] = (
    Metric(
        "C-P",
        lambda evaluation: evaluation.class_means.precision,
        "Per-class precision: the mean over classes of the share of a class's predictions that are right",
        column="C-P",
        resampled=lambda resample: resample.class_means.precision,
    ),
    Metric(
        "C-R",
        lambda evaluation: evaluation.class_means.recall,
        "Per-class recall: the mean over classes of the share of a class's images that are found",
        column="C-R",
        resampled=lambda resample: resample.class_means.recall,
    ),
    Metric(
        "C-F1",
        lambda evaluation: evaluation.class_means.f1,
        "Harmonic mean of C-P and C-R",
        column="C-F1",
        resampled=lambda resample: resample.class_means.f1,
    ),
    Metric(
        "O-P",
        lambda evaluation: evaluation.overall.precision,
        "Overall precision: the share of all predicted labels that are right",
        column="O-P",
        resampled=lambda resample: resample.overall.precision,
    ),
    Metric(
        "O-R",
        lambda evaluation: evaluation.overall.recall,
        "Overall recall: the share of all true labels that are predicted",
        column="O-R",
        resampled=lambda resample: resample.overall.recall,
    ),
    Metric(
        "O-F1",
        lambda evaluation: evaluation.overall.f1,
        "Harmonic mean of O-P and O-R",
        column="O-F1",
        resampled=lambda resample: resample.overall.f1,
    ),
    Metric(
        "I-P",
        lambda evaluation: evaluation.image_means.precision,
        "Per-image precision: the mean over images of the share of an image's predicted labels that are right",
        resampled=lambda resample: resample.image_means.precision,
    ),
    Metric(
        "I-R",
        lambda evaluation: evaluation.image_means.recall,
        "Per-image recall: the mean over images of the share of an image's labels that are predicted",
        resampled=lambda resample: resample.image_means.recall,
    ),
    Metric(
        "I-F1",
        lambda evaluation: evaluation.image_means.f1,
        "Harmonic mean of I-P and I-R",
        resampled=lambda resample: resample.image_means.f1,
    ),
    Metric("MAP@10", map_at_10, "MAP@10_image or MAP@10_class, whichever the protocol defines MAP@10 as"),
    Metric(
        "MAP@10_image",
        lambda evaluation: evaluation.map_at_10_image,
        "Mean average precision over the ten best labels of each image; the paper does not define its own",
        column="MAP@10",
        resampled=lambda resample: resample.map_at_10_image,
    ),
    Metric(
        "MAP@10_class",
        lambda evaluation: evaluation.map_at_10_class,
        "As mAP, with an image retrieved only for its ten best labels",
    ),
    Metric(
        "mAP",
        mean_average_precision(),
        "Mean over classes of the average precision of the images ranked by the class's score",
        column="mAP",
        resampled=lambda resample: resample.mean_average_precision,
    ),
    *(
        Metric(f"mAP_{kind}", mean_average_precision(kind), f"mAP with {kind.replace('_', '-')} average precision")
        for kind in AP_KINDS
    ),
    Metric(
        "labels_per_image",
        labels_per_image,
        "Predicted labels an image, on average",
        direction="none",
        digits=2,
        scale=1.0,
        column="labels/image",
    ),
)
"""In the order of tables. Those with a ``column`` are the paper's of Tables 1-3, and two that keep them honest.

The column MAP@10 is per image, whatever the protocol calls MAP@10.
"""

HEADLINES = ("O-F1", "C-F1", "mAP")
"""The metrics printed where there is room for few: differences of pairs, what an exported model is worth."""

PER_CLASS: dict[str, Callable[[Evaluation], NDArray[np.generic]]] = {
    "ap": lambda evaluation: evaluation.ap[evaluation.protocol.ap],
    "precision": lambda evaluation: metrics.precision(evaluation.class_counts, evaluation.protocol.no_predictions),
    "recall": lambda evaluation: metrics.recall(evaluation.class_counts),
    "support": lambda evaluation: evaluation.class_counts.positives,
    "predicted": lambda evaluation: evaluation.class_counts.predicted,
}
"""What is measured of each class, (labels,), by its name in measures.json."""


def by_name() -> Mapping[str, Metric]:
    """Return every metric by its name, in the order of tables. Raises ``UsageError`` where two share name or column."""
    found: dict[str, Metric] = {}
    headings: dict[str, str] = {}
    for metric in METRICS:
        if metric.name in found:
            raise UsageError(f"two metrics are called '{metric.name}'; names must be unique")
        owner = headings.setdefault(metric.column, metric.name) if metric.column else metric.name
        if owner != metric.name:
            raise UsageError(f"metrics '{owner}' and '{metric.name}' share the column '{metric.column}'")
        found[metric.name] = metric
    return found


def with_columns() -> tuple[Metric, ...]:
    """Return the metrics that every table and report shows."""
    return tuple(metric for metric in by_name().values() if metric.column)
