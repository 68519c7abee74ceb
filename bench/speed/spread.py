"""Measurements made again and again, in few numbers: what every timing of this room is told by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles of ``count`` measurements, in the unit that the field holding it is named after.

    The quartiles ``q1`` and ``q3`` say how far measurements lie apart: one interruption by the operating system does
    not move them. ``p95`` and ``p99`` are there where each measurement is of one item, such as an image; of turns of
    the same work they would tell of the machine alone, and are ``None``.
    """

    count: int
    q1: float
    median: float
    q3: float
    p95: float | None = None
    p99: float | None = None

    def times(self, factor: float) -> Spread:
        """Return the same measurements in another unit, each ``factor`` (above 0) times as large."""
        p95, p99 = (None if value is None else value * factor for value in (self.p95, self.p99))
        return Spread(self.count, self.q1 * factor, self.median * factor, self.q3 * factor, p95, p99)

    def per_second(self, items: int) -> Spread:
        """Return items a second, where these are the seconds of handling ``items``; slow turns are the low rates."""
        return Spread(self.count, items / self.q3, items / self.median, items / self.q1)


def summarize(values: Sequence[float], *, per_item: bool = False) -> Spread:
    """Return the spread of ``values``, with p95 and p99 where each is of an item of its own (``per_item``).

    Percentiles are linearly interpolated between values. Raises ``ValueError`` for no values.

    >>> summarize([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(count=5, q1=2.0, median=3.0, q3=4.0, p95=None, p99=None)
    """
    if not len(values):
        raise ValueError("no measurements to summarise")
    wanted = [25, 50, 75, 95, 99] if per_item else [25, 50, 75]
    return Spread(len(values), *(float(value) for value in np.percentile(values, wanted)))
