"""What the options of gradient training say, and how long patience is on a small training part."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UsageError
from bench.options import OptionValue

LARGEST_RATE = 1e36
"""Optimisers divide rates by as little as 0.1: larger ones are no float32."""

FEWEST_UPDATES = 30
"""Updates that an epoch counts for, at least, where epochs are waited: six epochs of 600 images are as many updates,
after which the paper's model is often worse than it was at first, and has learnt nothing yet."""

MOST_EPOCHS = 60
"""Epochs after which training ends, where option ``epochs`` is 0; they count for as many updates."""


def passes(epochs: int, updates: int) -> int:
    """Return how many passes over the training part, of so many ``updates``, are waited where options say ``epochs``.

    >>> passes(6, updates=40), passes(6, updates=5)
    (6, 36)
    """
    return math.ceil(epochs * max(FEWEST_UPDATES, updates) / updates)


def most_passes(epochs: int, updates: int) -> int:
    """Return how many passes over the training part training has at most: as many as were asked for, 0: by updates.

    >>> most_passes(0, updates=40), most_passes(0, updates=5), most_passes(20, updates=5)
    (60, 360, 20)
    """
    return epochs or passes(MOST_EPOCHS, updates)


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``TRAINING_OPTIONS`` of the optimisation with their values; see there for what each means."""

    epochs: int
    batch_size: int
    learning_rates: tuple[float, ...]
    optimizer: str
    momentum: float
    weight_decay: float
    clip_norm: float
    patience: int
    halve_after: int

    @classmethod
    def from_options(cls, options: Mapping[str, OptionValue]) -> Settings:
        """Return the settings; raises ``UsageError`` for learning rates that are not positive numbers."""
        values: dict[str, Any] = {entry.name: options[entry.name] for entry in dataclasses.fields(cls)}
        text = str(values["learning_rates"])
        try:
            rates = tuple(float(part) for part in text.split(","))
        except ValueError:
            rates = ()
        if "_" in text or not rates or not all(0 < rate <= LARGEST_RATE for rate in rates):
            raise UsageError(
                f"option learning_rates: found '{text}', allowed: positive numbers up to {LARGEST_RATE:g},"
                " comma-separated. Try: --set learning_rates=1e-3,3e-4"
            )
        return cls(**(values | {"learning_rates": rates}))


def check_training(options: Mapping[str, OptionValue]) -> None:
    """Raise ``UsageError`` for options of gradient training that say nothing; those of a ``fit`` have no rates."""
    if "learning_rates" in options:
        Settings.from_options(options)
