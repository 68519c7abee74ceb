"""The metric: a function of what a run has stored, so that runs made before it have it too."""

from typing import Any

import numpy as np


def subset_accuracy(evaluation: Any) -> float:
    """Return the share of images whose label set is wholly right; pairs to be ignored count neither way.

    An image is right where its true positives are all of its predictions and all of its true labels, so that an image
    without labels is right where nothing is predicted.
    """
    counts = evaluation.image_counts
    right = (counts.true_positives == counts.predicted) & (counts.true_positives == counts.positives)
    return float(np.mean(right)) if len(right) else float("nan")
