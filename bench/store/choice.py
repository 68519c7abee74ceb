"""Whether the trials of a stored run led to its options: the best of them, as often tried as its config says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.records import Ledger


def faults(ledger: Ledger, config: Mapping[str, Any]) -> list[str]:
    """Return what in the ledger contradicts the config. That trials scored as it says is seen by making them again."""
    told, found = config["trials"], []
    scores = [trial.score for trial in ledger.trials if trial.score is not None]
    if not scores or not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
        return ["its trials hold no score, or one that no validation part gives"]
    if ledger.as_config() != told or told["made"] > told["budget"]:
        found.append("its trials are not those of its config: their number, options, or what it was trained on")
    options = config["search"] | config["training"] | config["model"]["options"]
    wrong = [name for name, value in ledger.best.options.items() if options.get(name) != value]
    if wrong:
        found.append(f"its best trial chose other options than its config has: {', '.join(wrong)}")
    if ledger.refit and list(ledger.best.rates) != config["training"].get("schedule", []):
        found.append("its epochs and learning rates are not those of its best trial")
    return found


def apart_from_times(ledger: Ledger) -> Ledger:
    """Return a ledger without how long its trials took, which each machine finds otherwise."""
    return replace(ledger, trials=tuple(replace(trial, seconds=0.0) for trial in ledger.trials))
