"""What a method offers to choose from, as plain data: ``bench run --trials 16`` tries points of it on validation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.errors import UsageError
from bench.options import OptionValue


@dataclass(frozen=True, slots=True)
class Dimension:
    """One option that trials choose: one of ``choices``, or a number from ``low`` to ``high``, both included.

    Whole numbers where ``low`` and ``high`` are. ``log``: equal chances for equal ratios, as of 1e-5 to 1e-3.
    ``name`` is an option of the model, its training or its search, as in ``--set NAME=VALUE``. Raises ``UsageError``
    for a range or choices that nothing can be drawn from.

    >>> Dimension("hidden", (128, 256)), Dimension("C", low=0.01, high=100.0, log=True)  # doctest: +ELLIPSIS
    (Dimension(name='hidden', choices=(128, 256), ...), Dimension(name='C', choices=(), low=0.01, high=100.0, log=True))
    """

    name: str
    choices: tuple[OptionValue, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        ranged = self.low is not None or self.high is not None
        if ranged == bool(self.choices):
            raise UsageError(f"dimension '{self.name}': allowed: either choices, or low and high")
        if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
            raise UsageError(f"dimension '{self.name}': a choice stands twice in {self.choices}")
        if ranged:
            low, high = self.low, self.high
            sound = low is not None and high is not None and math.isfinite(low) and math.isfinite(high) and low < high
            if not sound or (self.log and low is not None and low <= 0):
                kind = "0 < low < high" if self.log else "low < high"
                raise UsageError(f"dimension '{self.name}': found {low}..{high}, allowed: {kind}")

    @property
    def whole(self) -> bool:
        """Return whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> OptionValue:
        """Return the value at ``share`` of the way, in [0, 1): floats to three digits, so that they can be typed.

        >>> Dimension("C", low=0.01, high=100.0, log=True).at(0.5), Dimension("k", low=1, high=4).at(0.99)
        (1.0, 4)
        """
        low, high = self.low, self.high
        if low is None or high is None:
            return self.choices[int(share * len(self.choices))]
        # A whole number stands for the interval up to the next one, so that both ends have their full chance.
        end = high + (1 if self.whole else 0)
        value = low * (end / low) ** share if self.log else low + share * (end - low)
        if self.whole:
            return min(int(value), int(high))
        return min(max(float(f"{value:.3g}"), low), high)
