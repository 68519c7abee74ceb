"""Whether a stored training can have gone as it says: every rule of ``bench.model.train`` followed once more.

Losses and validation scores themselves need the data; of them only ``bench validate --retrain`` knows more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bench.model.settings import FEWEST_UPDATES, most_passes, passes


class _Attempt(NamedTuple):
    """What came of one learning rate: its best epoch, and whether its loss diverged."""

    rate: float
    epoch: int
    score: float
    diverged: bool


def faults(training: Mapping[str, Any], options: Mapping[str, Any], weights: bytes | None) -> list[str]:
    """Return what in ``training`` contradicts itself, the training ``options`` of the config, or the weights' size.

    ``weights`` of ``None``: the run was merged without them.
    """
    found = _history(training, options) if "epochs" in options else _without_gradients(training)
    if weights is None:
        return found
    stored = sum(math.prod(entry["shape"]) for entry in _tensors(weights))
    if not 0 <= training["parameters"] <= stored:
        found.append(f"its training is of {training['parameters']} parameters, {stored} numbers are stored")
    return found


def _without_gradients(training: Mapping[str, Any]) -> list[str]:
    curves = training["history"] or training["diverged"] or training["best_epoch"]
    claimed = training["learning_rate"] is not None or training["score"] is not None
    return ["it has training curves, and its model is not trained by gradients"] if curves or claimed else []


def _history(training: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    history = training["history"]
    if "schedule" in options:
        return _scheduled(training, options["schedule"])
    updates = training.get("updates", FEWEST_UPDATES)  # before they were told, no more was waited than the options say
    if not all(_plausible(entry) for entry in history) or not isinstance(updates, int) or updates < 1:
        return ["its training curves hold numbers that no training gives"]
    rates = [float(part) for part in str(options["learning_rates"]).split(",")]
    entries = list(history)
    waited = {name: passes(options[name], updates) for name in ("patience", "halve_after")}
    waited["epochs"] = most_passes(options["epochs"], updates)
    attempts = [_replay(rate, entries, {**options, **waited}) for rate in rates]
    if entries:
        place = f"epoch {entries[0]['epoch']} at learning rate {entries[0]['learning_rate']:g}"
        return [f"its training curves hold {place}, which its training options do not lead to"]
    if training["diverged"] != [attempt.rate for attempt in attempts if attempt.diverged]:
        return ["its training ended before its options say so"]
    best = max((attempt for attempt in attempts if not attempt.diverged), key=lambda one: one.score, default=None)
    kept = training["learning_rate"], training["best_epoch"], training["score"]
    if best is None or kept != (best.rate, best.epoch, best.score):
        return ["its learning rate, best epoch and validation score are not the best of its training curves"]
    return []


def _scheduled(training: Mapping[str, Any], schedule: list[float]) -> list[str]:
    """Return whether a training that nothing judged is of other epochs and learning rates than its config says."""
    expected = [{"epoch": epoch, "rate": rate, "score": None} for epoch, rate in enumerate(schedule, 1)]
    found = [{name: entry[name] for name in ("epoch", "rate", "score")} for entry in training["history"]]
    kept = training["learning_rate"], training["best_epoch"], training["score"], training["diverged"]
    sound = all(_plausible(entry | {"score": 0.0}) for entry in training["history"])
    if found != expected or kept != (schedule[0], len(schedule), None, []) or not sound:
        return ["its training curves are not of the epochs and learning rates that its trials fixed"]
    return []


def _replay(rate: float, entries: list[Mapping[str, Any]], options: Mapping[str, Any]) -> _Attempt:
    """Take the epochs at ``rate`` off the front of ``entries``; where they end before their time, it diverged."""
    in_force, best, best_epoch, since_best, since_halved = rate, -math.inf, 0, 0, 0
    for epoch in range(1, options["epochs"] + 1):
        if since_best >= options["patience"]:
            break
        expected = {"learning_rate": rate, "epoch": epoch, "rate": in_force}
        if not entries or any(entries[0][name] != value for name, value in expected.items()):
            return _Attempt(rate, best_epoch, best, diverged=True)
        score = entries.pop(0)["score"]
        since_best, since_halved = since_best + 1, since_halved + 1
        if score > best:
            best, best_epoch, since_best, since_halved = score, epoch, 0, 0
        elif since_halved >= options["halve_after"]:
            in_force, since_halved = in_force / 2, 0
    return _Attempt(rate, best_epoch, best, diverged=False)


def _plausible(entry: Mapping[str, Any]) -> bool:
    """Return whether loss and time are finite and the validation score is a fraction."""
    numbers = [entry[name] for name in ("loss", "score", "seconds")]
    finite = all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)
    return finite and 0.0 <= entry["score"] <= 1.0 and entry["seconds"] >= 0.0


def _tensors(weights: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield what the header of a safetensors file's content says of each tensor. Raises ``ValueError`` for none."""
    if len(weights) < 8 or (length := int.from_bytes(weights[:8], "little")) > len(weights) - 8:
        raise ValueError("no safetensors file")
    header = json.loads(weights[8 : 8 + length])
    return (entry for name, entry in header.items() if name != "__metadata__")
