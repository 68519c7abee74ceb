"""One threshold for all labels, and at most the protocol's k labels an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bench
from bench_models.policies.common import best_threshold, counting, top_k

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")


def fit(part: bench.ScoredPart) -> dict[str, NDArray[Any]]:
    """Return k and the threshold with the best O-F1 of the part among each image's k best labels."""
    candidates = top_k(part.scores, part.k) & counting(part)
    positives = int(part.truth.sum())
    threshold = best_threshold(part.scores[candidates], part.truth[candidates], positives)
    return {"threshold": np.asarray(threshold), "k": np.asarray(part.k)}


def label_sets(scores: NDArray[np.float32], state: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return those of each image's k best labels that reach the threshold."""
    return np.asarray(top_k(scores, int(state["k"])) & (scores >= state["threshold"]))


POLICY = bench.LabelSetPolicy(
    name="at-most-k",
    summary="at most the protocol's k labels, those that reach one threshold chosen on the validation part",
    fit=fit,
    label_sets=label_sets,
    amount="at most k",
)
