"""Metrics: one record each, which measuring, tables, reports and trackers read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.contracts.api import API_VERSION
from bench.errors import PluginError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Direction = Literal["higher", "lower", "none"]
"""Which values of a metric are the better ones; ``none``: neither, as of a mean number of labels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: all that measuring, tables, reports, error bars and trackers know of it.

    ``name`` is its key in measures.json, and what ``bench table --columns`` takes. ``function`` takes a
    ``bench.Evaluation`` and returns a number; NaN: undefined. ``meaning`` is one sentence for readers, without its full
    stop. A value is printed times ``scale`` with ``digits`` decimals: fractions are stored, percent is shown.
    ``column`` is its heading in every table and report; empty: it is shown where its name is asked for.
    ``resampled`` takes a ``bench.evaluation.resample.Resample`` and returns the metric in each resample of the test
    images, (resamples,) float64, or ``None`` where the run lacks what it needs; without it there are no error bars, and
    as yet a plugin's metric has none either.
    Raises ``UsageError`` for a field that is none of what is allowed.
    """

    name: str
    function: Callable[[Any], float]
    meaning: str
    _: KW_ONLY
    direction: Direction = "higher"
    digits: int = 1
    scale: float = 100.0
    column: str = ""
    resampled: Callable[[Any], NDArray[np.float64] | None] | None = None
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        for what, name in (("name", self.name), ("column", self.column or self.name)):
            if not name or any(mark in ",|" or mark.isspace() for mark in name):
                raise UsageError(f"metric '{self.name}': {what} '{name}', allowed: text without spaces, commas and |")
        if not self.meaning.strip() or self.meaning.endswith("."):
            raise UsageError(f"metric '{self.name}': meaning '{self.meaning}', allowed: text, no full stop")
        if self.direction not in get_args(Direction):
            allowed = ", ".join(get_args(Direction))
            raise UsageError(f"metric '{self.name}': direction '{self.direction}', allowed: {allowed}")
        if isinstance(self.digits, bool) or not isinstance(self.digits, int) or self.digits < 0:
            raise UsageError(f"metric '{self.name}': digits {self.digits!r}, allowed: a whole number >= 0")
        if not 0 < self.scale < math.inf:
            raise UsageError(f"metric '{self.name}': scale {self.scale!r}, allowed: above 0, as 100 for percent")
        if not callable(self.function) or not (self.resampled is None or callable(self.resampled)):
            raise UsageError(f"metric '{self.name}': function and resampled must be callable")

    @property
    def summary(self) -> str:
        """Return what ``bench list`` says of it."""
        return self.meaning

    @property
    def heading(self) -> str:
        """Return what stands above its column."""
        return self.column or self.name

    def value(self, evaluation: Any) -> float:
        """Return what ``function`` gives. Raises ``PluginError`` where that is neither a finite number nor NaN."""
        found = self.function(evaluation)
        if isinstance(found, (str, bytes)) or getattr(found, "ndim", None) or not hasattr(found, "__float__"):
            raise PluginError(f"it gives a {type(found).__name__}, must be a number")
        if math.isinf(found):
            raise PluginError("it is infinite; NaN is for what is undefined")
        return float(found)

    def shown(self, value: float, more_digits: int = 0) -> str:
        """Return ``value`` as it is printed, in the unit shown.

        >>> Metric("C-F1", lambda evaluation: 0.5, "Harmonic mean of C-P and C-R").shown(0.6044)
        '60.4'
        """
        return f"{self.scale * value:.{self.digits + more_digits}f}"
