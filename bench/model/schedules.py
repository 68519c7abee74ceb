"""Learning rates that follow from how far a training is, so that one that continues needs no state for them."""

from __future__ import annotations

import math


def rate_at(update: int, updates: int, *, highest: float, warmup: int = 0, shape: str = "constant") -> float:
    """Return the learning rate of ``update``, from 0, of ``updates``.

    It rises in equal steps up to ``highest`` in the first ``warmup`` of them; then it stays, or, with ``shape`` of
    ``cosine``, goes down to nearly 0 along half a wave.

    >>> [rate_at(update, 6, highest=1.0, warmup=2, shape="cosine") for update in (0, 1, 2, 4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    if update < warmup:
        return highest * (update + 1) / warmup
    if shape == "constant":
        return highest
    return highest * (1.0 + math.cos(math.pi * (update - warmup) / max(updates - warmup, 1))) / 2
