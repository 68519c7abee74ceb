"""One threshold for all labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench
from bench_models.policies.common import best_threshold, counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")


def fit(part: bench.ScoredPart) -> dict[str, NDArray[np.float32]]:
    """Return the threshold with the best O-F1 of the part, exactly: every one that divides its scores is tried."""
    counted = counting(part)
    positives = int(part.truth.sum())
    return {"threshold": np.asarray(best_threshold(part.scores[counted], part.truth[counted], positives))}


def label_sets(scores: NDArray[np.float32], state: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Return the labels that reach the threshold."""
    return np.asarray(scores >= state["threshold"])


POLICY = bench.LabelSetPolicy(
    name="threshold",
    summary="the labels that reach one threshold, the same for all labels, chosen on the validation part",
    fit=fit,
    label_sets=label_sets,
)
