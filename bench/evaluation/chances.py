"""How sure a model is of each label, whatever its scores mean: a logistic curve through its validation part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.records import BoolArray, FloatArray, ScoreKind

Chances = Callable[[NDArray[np.float32]], FloatArray]
"""From scores (images, labels) to the chance that each label is there, float32 in [0, 1]."""

MOST_PAIRS = 200_000
"""Image-label pairs that a curve is fitted to; of more, every so manieth."""
STEPS, RIDGE = 50, 1e-6
LEAST = 1e-6
"""Probabilities nearer to 0 or 1 than this count as this near."""


def natural(kind: ScoreKind) -> Chances | None:
    """Return what scores of ``kind`` say by themselves; ``None`` for those that are no probabilities."""
    if kind == "logit":
        return lambda scores: _logistic(np.asarray(scores, dtype=np.float32))
    return (lambda scores: np.asarray(scores, dtype=np.float32)) if kind == "probability" else None


def fitted(
    kind: ScoreKind, scores: NDArray[np.float32], truth: BoolArray, counted: BoolArray | None = None
) -> Chances | None:
    """Return Platt scaling: sigmoid(a s + b), the one curve for all labels that makes ``truth`` most likely.

    ``counted`` marks the pairs that are fitted; ``None``: all. ``None`` where the scores do not rise with the truth, or
    are all the same: such scores say nothing of an image. Source: J. Platt, Probabilistic outputs for support vector
    machines, 1999.
    """
    chosen = np.arange(truth.size) if counted is None else np.flatnonzero(counted)
    chosen = chosen[:: -(-len(chosen) // MOST_PAIRS) or 1]
    positive = truth.ravel()[chosen].astype(np.float64)
    straight = _straight(kind, scores.ravel()[chosen])
    if not 0 < positive.sum() < len(positive) or np.all(scores == scores[:1]):
        return None
    centre, width = float(straight.mean()), float(straight.std()) or 1.0
    held = positive.sum()
    # Platt's targets: where the two are told apart without an error, chances stay this far from 0 and 1.
    targets = np.where(positive > 0, (held + 1) / (held + 2), 1 / (len(positive) - held + 2))
    slope, offset = _newton((straight - centre) / width, targets)
    if not slope > 0:
        return None

    def chances(values: NDArray[np.float32]) -> FloatArray:
        unit = (_straight(kind, values) - centre) / width
        return _logistic((slope * unit + offset).astype(np.float32))

    return chances


def _newton(x: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and offset of the logistic regression of ``targets``, in (0, 1), on ``x``."""
    share = float(targets.mean())
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([0.0, np.log(share / (1 - share))])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chance - targets) / len(x) + RIDGE * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design / len(x) + RIDGE * np.eye(2)
        # A whole step may lead to where the curve is flat, and no further.
        step = np.clip(np.linalg.solve(curvature, gradient), -2.0, 2.0)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return float(weights[0]), float(weights[1])


def _straight(kind: ScoreKind, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return scores on the scale on which a logistic curve is one: probabilities as log-odds; no infinities."""
    values = np.nan_to_num(np.asarray(scores, dtype=np.float64), posinf=1e6, neginf=-1e6)
    if kind == "probability":
        inside = np.clip(values, LEAST, 1 - LEAST)
        return np.log(inside / (1 - inside))
    # What a softmax gives to labels that it rules out is far below all others, and no farther by meaning.
    return np.maximum(values, np.log(LEAST)) if kind == "log_probability" else np.clip(values, -1e6, 1e6)


def _logistic(values: NDArray[np.float32]) -> FloatArray:
    found: FloatArray = (1 / (1 + np.exp(-np.clip(values, -80, 80)))).astype(np.float32)
    return found
