"""As many of the best labels as a regression expects the image to have.

A Poisson regression of the number of true labels on the image's best scores, each scaled to mean 0 and deviation 1,
with a penalty; what it expects is multiplied by the factor that gives the best O-F1 on the validation part, and
rounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bench
from bench_models.policies.common import counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")

BEST = 10
"""How many of an image's best scores the regression sees."""

PENALTY = 1.0
"""Of the squares of the weights, beside the log-likelihood's sum; the intercept has none."""

STEPS = 50
FACTORS = tuple(round(0.5 + 0.025 * step, 3) for step in range(41))
HIGHEST = 1e6
"""Scores beyond it count as this, for the regression: an infinite one has no deviation."""


def fit(part: bench.ScoredPart) -> dict[str, NDArray[Any]]:
    """Return the regression, the factor, and the most labels that an image of the part has."""
    counts = part.truth.sum(axis=1).astype(np.float64)
    inputs = _inputs(part.scores)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    weights = _poisson((inputs - mean) / deviation, counts)
    state = {
        "mean": mean,
        "deviation": deviation,
        "weights": weights,
        "most": np.asarray(int(counts.max(initial=0))),
        "factor": np.asarray(1.0),
    }
    ranks, expected = _ranks(part.scores), _expected(part.scores, state)
    counted = counting(part)

    def score(factor: float) -> float:
        return part.score((ranks < _rounded(expected, factor)[:, None]) & counted)

    # Of equal factors the one next to 1, which says what the regression says.
    return state | {"factor": np.asarray(max(sorted(FACTORS, key=lambda factor: abs(factor - 1.0)), key=score))}


def label_sets(scores: NDArray[np.float32], state: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return the best labels of each image, as many as are expected of it."""
    expected = _rounded(_expected(scores, state), float(state["factor"]))
    return np.asarray(_ranks(scores) < expected[:, None])


def _ranks(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each label's rank among its image's, from 0, (n, labels); ties go to the lower label index."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None, :], axis=1)
    return ranks


def _inputs(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the best scores of each image, descending, (n, BEST) or as many as there are labels."""
    best = -np.sort(-scores, axis=1)[:, :BEST]
    return np.clip(best.astype(np.float64), -HIGHEST, HIGHEST)


def _expected(scores: NDArray[np.float32], state: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the number of labels that the regression expects, (n,), within what the validation part has."""
    scaled = (_inputs(scores) - state["mean"]) / state["deviation"]
    exponent = (scaled * state["weights"][1:]).sum(axis=1) + state["weights"][0]
    return np.asarray(np.minimum(np.exp(np.clip(exponent, -30.0, 30.0)), float(state["most"])))


def _rounded(expected: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    return np.asarray(np.floor(factor * expected + 0.5))


def _poisson(inputs: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intercept and weights, (1 + inputs,), by Newton's method; steps that worsen are halved."""
    design = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
    penalty = np.full(design.shape[1], PENALTY)
    penalty[0] = 1e-9

    def loss(weights: NDArray[np.float64]) -> float:
        exponent = np.clip(design @ weights, -30.0, 30.0)
        return float(np.exp(exponent).sum() - counts @ exponent + (penalty * weights**2).sum() / 2)

    weights = np.zeros(design.shape[1])
    weights[0] = np.log(max(float(counts.mean()), 1e-6))
    for _ in range(STEPS):
        rates = np.exp(np.clip(design @ weights, -30.0, 30.0))
        gradient = design.T @ (rates - counts) + penalty * weights
        step = np.linalg.solve(design.T @ (rates[:, None] * design) + np.diag(penalty), gradient)
        size, before = 1.0, loss(weights)
        while size > 1e-6 and loss(weights - size * step) > before:
            size /= 2
        if size <= 1e-6 or float(np.abs(size * step).max()) < 1e-10:
            break
        weights = weights - size * step
    return weights


POLICY = bench.LabelSetPolicy(
    name="count",
    summary="as many of the best labels as a Poisson regression on the best scores expects, fitted on validation",
    fit=fit,
    label_sets=label_sets,
)
