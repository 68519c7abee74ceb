"""Metrics of multi-label classification as pure functions of numpy arrays.

Arrays are (images, labels). ``truth``, ``predicted`` and ``ignore`` are bool, or packed bits; scores are float and
higher means more likely. All are read in blocks, so memory-mapped scores need not fit in memory.
Every result is a fraction in [0, 1], higher is better; NaN means undefined.
"""

from bench.evaluation.metrics.average_precision import average_precision, average_precisions, mean_defined
from bench.evaluation.metrics.counts import Counts, class_counts, image_counts
from bench.evaluation.metrics.precision_recall import (
    harmonic_mean,
    macro,
    mean_of_f1,
    micro,
    precision,
    recall,
)
from bench.evaluation.metrics.ranking import map_at_k_class, map_at_k_image, packed_top_k, ranked, top_k, top_k_above

__all__ = [
    "Counts",
    "average_precision",
    "average_precisions",
    "class_counts",
    "harmonic_mean",
    "image_counts",
    "macro",
    "map_at_k_class",
    "map_at_k_image",
    "mean_defined",
    "mean_of_f1",
    "micro",
    "packed_top_k",
    "precision",
    "ranked",
    "recall",
    "top_k",
    "top_k_above",
]
