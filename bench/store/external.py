"""Runs whose scores came from a file or an array of somebody's own code, and not from a model of this benchmark."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.records import Scores

EXTERNAL = "external"
"""The entry of a config by which such a run is known, and what its rows are marked with."""

UNSEEN = (
    "its scores are those of a file (SHA-256 {:.12}): no check sees which model gave them, or what it was trained on"
)


def of_config(config: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return what a config says of the file: ``kind`` as it was stated, ``sha256``, ``validation_sha256``,
    ``scores`` and ``validation_scores`` (``scores_hash``); ``None`` for a run that was made here.
    """  # noqa: D205 - one sentence
    found = config.get(EXTERNAL)
    return found if isinstance(found, Mapping) else None


def scores_hash(scores: Scores) -> str:
    """Return the SHA-256 of scores as they are stored, so that a run's key is bound to them."""
    hasher = hashlib.sha256(f"{scores.kind} {scores.values.shape}".encode())
    hasher.update(np.ascontiguousarray(scores.values).data)
    return hasher.hexdigest()
