"""Probabilities of scores, fitted on the validation part: by a temperature, or by isotonic regression.

Temperature divides logits by one number, the one with the least negative log-likelihood (Guo et al. 2017). Isotonic
regression is scikit-learn's: the step-free increasing function with the least squared error. Of all labels together, or
of each alone, where a label with nothing true, or nothing false, takes that of all. Neither changes a label's ranking
but by ties, so thresholds, which are on scores, do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import PolicyState, ScoredPart
from bench.errors import UsageError
from bench.records import BoolArray, FloatArray

LOGIT_LIMIT = 30.0
"""A probability's logit is taken to be no larger: that of 0 or 1 has none."""

TEMPERATURES = (1e-3, 1e3)
"""Between these a temperature is looked for."""

STEPS = 200
PREFIX = "calibration_"

Arrays = dict[str, NDArray[Any]]


def fit(kind: str, part: ScoredPart, counted: BoolArray, *, per_label: bool) -> Arrays:
    """Return the arrays of a policy's state that hold the calibration of ``kind``; none where that is empty.

    ``counted`` (images, labels) are the pairs that count. Raises ``UsageError`` where a temperature is asked of scores
    that are no logits or probabilities.
    """
    if not kind:
        return {}
    if kind == "temperature" and part.score_kind not in {"logit", "probability"}:
        raise UsageError(
            f"--calibrate temperature: scores of kind {part.score_kind}, allowed: logit, probability."
            " Try: --calibrate isotonic"
        )
    fitted: Callable[[FloatArray, BoolArray], Arrays]
    fitted = _isotonic if kind == "isotonic" else lambda scores, truth: _temperature(scores, truth, part.score_kind)
    of_all = fitted(part.scores[counted], part.truth[counted])
    found = [of_all]
    if per_label:
        found = []
        for label in range(part.truth.shape[1]):
            mask = counted[:, label]
            truth = part.truth[mask, label]
            mixed = truth.any() and not truth.all()
            found.append(fitted(part.scores[mask, label], truth) if mixed else of_all)
    joined = {name: np.concatenate([one[name] for one in found]) for name in of_all}
    if kind == "isotonic":
        joined["starts"] = np.cumsum([0, *(len(one["x"]) for one in found)])
    return {PREFIX + name: array for name, array in joined.items()}


def calibrated(scores: FloatArray, kind: str, state: PolicyState | Mapping[str, NDArray[Any]]) -> FloatArray | None:
    """Return the probabilities of scores (n, labels) of ``kind``, float32; ``None`` where none were fitted."""
    if PREFIX + "temperature" in state:
        logits = _logits(scores, kind) / np.asarray(state[PREFIX + "temperature"], dtype=np.float64)
        return sigmoid(logits).astype(np.float32)
    if PREFIX + "starts" not in state:
        return None
    starts, x, y = (np.asarray(state[PREFIX + name]) for name in ("starts", "x", "y"))
    found = np.empty(scores.shape, dtype=np.float32)
    for label in range(scores.shape[1]):
        place = label if len(starts) > 2 else 0
        rows = slice(int(starts[place]), int(starts[place + 1]))
        found[:, label] = np.interp(scores[:, label].astype(np.float64), x[rows], y[rows])
    return found


def fits(state: Mapping[str, NDArray[Any]], labels: int) -> bool:
    """Return whether the arrays of a policy's state hold a calibration of so many labels, or none.

    That they were fitted is not looked for, but whatever ``calibrated`` reads of them is there.
    """
    held = {name.removeprefix(PREFIX): array for name, array in state.items() if name.startswith(PREFIX)}
    if not held:
        return True
    if {*held} == {"temperature"}:
        temperature = held["temperature"]
        return temperature.shape in {(1,), (labels,)} and bool((temperature > 0).all())
    if {*held} != {"starts", "x", "y"} or any(array.ndim != 1 for array in held.values()):
        return False
    starts, x, y = (held[name] for name in ("starts", "x", "y"))
    if starts.dtype.kind not in "iu" or len(starts) not in {2, labels + 1} or len(x) != len(y):
        return False
    return bool(starts[0] == 0 and starts[-1] == len(x) and (np.diff(starts.astype(np.float64)) > 0).all())


def _isotonic(scores: FloatArray, truth: BoolArray) -> Arrays:
    from sklearn.isotonic import IsotonicRegression

    if not len(scores):
        return {"x": np.zeros(1), "y": np.zeros(1)}
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    regression.fit(scores.astype(np.float64), truth.astype(np.float64))
    return {
        "x": np.asarray(regression.X_thresholds_, dtype=np.float64),
        "y": np.asarray(regression.y_thresholds_, dtype=np.float64),
    }


def _temperature(scores: FloatArray, truth: BoolArray, kind: str) -> Arrays:
    """Return the temperature: the likelihood has one hill along 1 / T, which halving its slope's interval finds."""
    logits = _logits(scores, kind)

    def slope(inverse: float) -> float:
        return float(((sigmoid(inverse * logits) - truth) * logits).sum())

    low, high = 1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]
    for _ in range(STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if slope(middle) < 0.0 else (low, middle)
        if high / low < 1.0 + 1e-12:
            break
    return {"temperature": np.array([1.0 / float(np.sqrt(low * high))])}


def _logits(scores: FloatArray, kind: str) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if kind == "probability":
        with np.errstate(divide="ignore"):
            values = np.log(values) - np.log1p(-values)
    return np.clip(values, -LOGIT_LIMIT, LOGIT_LIMIT) if kind == "probability" else values


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logits as probabilities; of large ones too without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))
