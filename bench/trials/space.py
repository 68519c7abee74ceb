"""Points of a search space, each fixed by its number: the same whatever order they are tried in, and by how many jobs.

A Kronecker sequence with the generalised golden ratio (Roberts, "The unreasonable effectiveness of quasirandom
sequences", 2018) behind the defaults: it fills a space of one option as evenly as a grid, one of several as random
search does (Bergstra and Bengio, JMLR 2012), and n points are the first of any more. A sampler that learns from
results, such as TPE, draws its first ten points at random, and its others depend on the order in which trials end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from bench.contracts import Dimension
from bench.options import Option, OptionValue
from bench.system.files import canonical_json

REPEATS = 200
"""Points drawn in a row that all were drawn before, after which a space is taken to hold no other."""

Point = dict[str, OptionValue]


def points(
    space: Sequence[Dimension], options: Mapping[str, Option], defaults: Point, count: int, seed: int
) -> list[Point]:
    """Return the first ``count`` different points of ``space``, the defaults first; fewer where it holds no more.

    ``options`` check each value, and give it its type. Raises ``UsageError`` for one that its option does not take.
    """
    return list(islice(_distinct(space, options, defaults, seed), count))


def _distinct(space: Sequence[Dimension], options: Mapping[str, Option], defaults: Point, seed: int) -> Iterator[Point]:
    first = {dimension.name: defaults[dimension.name] for dimension in space}
    seen, repeats = {canonical_json(first)}, 0
    yield first
    shares = _shares(len(space), seed)
    while space and repeats < REPEATS:
        drawn = zip(space, next(shares), strict=True)
        point = {one.name: options[one.name].check(one.at(share)) for one, share in drawn}
        key = canonical_json(point)
        repeats = repeats + 1 if key in seen else 0
        if key not in seen:
            seen.add(key)
            yield point


def _shares(dimensions: int, seed: int) -> Iterator[list[float]]:
    """Yield points of the unit cube, spread evenly; ``seed`` shifts them all."""
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    steps = [ratio ** -(place + 1) for place in range(dimensions)]
    generator = random.Random(seed)
    shifts = [generator.random() for _ in steps]
    number = 0
    while True:
        number += 1
        yield [(shift + number * step) % 1.0 for shift, step in zip(shifts, steps, strict=True)]
