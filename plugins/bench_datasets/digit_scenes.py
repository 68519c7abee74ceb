"""digit-scenes: sheets of handwritten digits on which labels depend on one another. Built in, no files.

A label is an ink and a digit, 30 in all. A scene is drawn like this (numbers below, picture and
measurements in docs/digit-scenes.md):

1. a context, one of ``CONTEXTS``, Zipfian;
2. how many labels are drawn: 1 + a geometric number, at most ``MOST_DRAWN``;
3. the labels, without replacement, each with probability proportional to its Zipfian frequency, times
   ``CONTEXT_GAIN`` if it belongs to the context;
4. companions: each of the ``ANCHORS`` most frequent labels brings its own companion with probability
   ``COMPANION``. A companion is painted faint, so that it can be inferred but hardly be read;
5. the places, avoiding overlap where there is room, and a real digit as source of each instance.

Sources of train, validation and test are disjoint. Everything follows from the option ``seed``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import bench
from bench import Dataset, DatasetRequest, DatasetSpec, Images, Option, Split
from bench_datasets.digit_painter import LABELS, SIDE, Instance
from bench_datasets.digits import Part, digits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench import FloatArray
else:
    np = bench.lazy_import("numpy")

ZIPF = 0.75
CONTEXTS = 6
CONTEXT_LABELS = 9
CONTEXT_GAIN = 14.0
DRAW_CHANCE = 0.46
MOST_DRAWN = 9
ANCHORS = 8
COMPANION = 0.75
TWICE = 0.12
"""Chance that a label is painted two times, which changes no label set."""


@dataclass(frozen=True)
class World:
    """What all scenes share: label frequencies (30,), gains (CONTEXTS, 30), and each label's companion or -1."""

    frequency: NDArray[np.float64]
    gains: NDArray[np.float64]
    companions: NDArray[np.int64]

    @cached_property
    def contexts(self) -> list[float]:
        """Return the chance of each context or one before it."""
        weights = 1.0 / np.arange(1, CONTEXTS + 1)
        return cumulated(weights / weights.sum())

    @cached_property
    def labels(self) -> list[tuple[NDArray[np.float64], list[float]]]:
        """Return for each context the chance of each label (30,), and of each or one before it."""
        chances = [self.frequency * gains for gains in self.gains]
        return [(one / one.sum(), cumulated(one / one.sum())) for one in chances]


def make_world(seed: int) -> World:
    """Return the world that ``seed`` draws: which labels are frequent, which belong together, who accompanies whom."""
    rng = np.random.default_rng([seed, 0])
    count = len(LABELS)
    rank = rng.permutation(count)
    frequency: NDArray[np.float64] = 1.0 / (1.0 + rank.astype(np.float64)) ** ZIPF
    gains = np.ones((CONTEXTS, count))
    for context in gains:
        context[rng.choice(count, CONTEXT_LABELS, replace=False)] = CONTEXT_GAIN
    companions = np.full(count, -1)
    by_rank = np.argsort(rank)
    # Anchors are the most frequent labels; companions come from the middle of the ranks, each its own.
    companions[by_rank[:ANCHORS]] = rng.permutation(by_rank[ANCHORS : ANCHORS + 12])[:ANCHORS]
    return World(frequency, gains, companions)


def draw_labels(world: World, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the labels of one scene: those drawn, which are painted plainly, and companions, painted faint."""
    context = bisect_right(world.contexts, rng.random())
    number = min(int(rng.geometric(DRAW_CHANCE)), MOST_DRAWN)
    drawn = draw_apart(*world.labels[context], number, rng)
    implied = [int(world.companions[label]) for label in drawn if world.companions[label] >= 0]
    return drawn, [label for label in implied if rng.random() < COMPANION and label not in drawn]


def draw_apart(chances: NDArray[np.float64], up_to: list[float], number: int, rng: np.random.Generator) -> list[int]:
    """Return ``number`` different places of ``chances``, whose cumulated form is ``up_to``.

    It is ``rng.choice(len(chances), number, replace=False, p=chances)``, from the same random numbers in a fifth of the
    time: NumPy looks at ``chances`` anew each time.
    """
    found = list(dict.fromkeys(bisect_right(up_to, value) for value in rng.random(number).tolist()))
    while len(found) < number:
        left = chances.copy()
        left[found] = 0
        up_to = cumulated(left)
        found += dict.fromkeys(bisect_right(up_to, value) for value in rng.random(number - len(found)).tolist())
    return found


def cumulated(chances: NDArray[np.float64]) -> list[float]:
    """Return the sum of each of ``chances`` and those before it, of their whole."""
    sums = chances.cumsum()
    found: list[float] = (sums / sums[-1]).tolist()
    return found


def lay_out(
    drawn: list[int], companions: list[int], sources: list[NDArray[np.int64]], rng: np.random.Generator
) -> list[Instance]:
    """Return a place, a size and a source digit for every label of a scene; ``sources`` are rows by digit."""
    labels = [(label, False) for label in drawn for _ in range(1 + (rng.random() < TWICE))]
    labels += [(label, True) for label in companions]
    taken = np.zeros((SIDE, SIDE), dtype=np.bool_)
    instances = []
    for label, faint in labels:
        side = int(rng.integers(8, 11) if faint else rng.integers(15, 24))
        corners = rng.integers(0, SIDE - side + 1, size=(12, 2))
        top, left = freest(taken, corners.tolist(), side)
        taken[top : top + side, left : left + side] = True
        rows = sources[label % 10]
        source = int(rows[rng.integers(len(rows))])
        opacity = float(rng.uniform(0.3, 0.5) if faint else rng.uniform(0.75, 1.0))
        instances.append(Instance(label, source, side, top, left, opacity, faint))
    return instances


def freest(taken: NDArray[np.bool_], corners: Sequence[tuple[int, int]], side: int) -> tuple[int, int]:
    """Return the corner whose square of ``side`` covers least of ``taken``, (SIDE, SIDE); the first of equals."""
    least, best = side * side + 1, corners[0]
    for top, left in corners:
        covered = int(np.count_nonzero(taken[top : top + side, left : left + side]))
        if covered < least:
            least, best = covered, (top, left)
        if not covered:
            break
    return best


@dataclass(frozen=True, slots=True)
class Scenes(Images):
    """Pictures that are painted when they are read; ``layouts`` and ``seeds`` are all they follow from."""

    part: Part
    layouts: tuple[tuple[Instance, ...], ...]
    seed: int

    def __len__(self) -> int:
        return len(self.layouts)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Paint scene ``index``, (SIDE, SIDE, 3)."""
        from bench_datasets.digit_painter import blank, paint, to_pixels

        opacities, _ = digits(self.part)
        sheet = blank(np.random.default_rng([self.seed, 2, index]))
        for instance in self.layouts[index]:
            paint(sheet, opacities[instance.source], instance)
        return to_pixels(sheet)

    def describe(self, index: int) -> str:
        """Return the split and the scene's number."""
        return f"digit-scenes/{self.part} scene {index}"

    def hashed_over(self) -> str:
        """Return what the content hash is over, in words."""
        return "every scene's layout, and the pixels of the first eight"

    def content_hash(self) -> str:
        """Return a hash over the layouts and the pixels of the first scenes, so that a changed painter shows."""
        from bench import digest

        pixels = b"".join(self.read(index).tobytes() for index in range(min(len(self), 8)))
        return digest(repr(self.layouts), str(self.seed), pixels)


def make_split(part: Part, images: int, world: World, seed: int) -> Split:
    """Return ``images`` scenes of ``part``."""
    order = ("train", "validation", "test").index(part)
    rng = np.random.default_rng([seed, 1, order])
    _, classes = digits(part)
    sources = [np.flatnonzero(classes == digit) for digit in range(10)]
    truth = np.zeros((images, len(LABELS)), dtype=np.bool_)
    layouts = []
    for row in range(images):
        drawn, companions = draw_labels(world, rng)
        truth[row, drawn + companions] = True
        layouts.append(tuple(lay_out(drawn, companions, sources, rng)))
    ids = tuple(f"{part}-{row:05d}" for row in range(images))
    scenes = Scenes(part, tuple(layouts), seed * 10 + order)
    return Split("digit-scenes", part, ids, LABELS, truth, scenes, sizes=_sizes(layouts))


def _sizes(layouts: Sequence[tuple[Instance, ...]]) -> FloatArray:
    """Return the share of the sheet that the largest digit of each label takes, (scenes, labels)."""
    sizes = np.zeros((len(layouts), len(LABELS)), dtype=np.float32)
    for row, instances in enumerate(layouts):
        for instance in instances:
            sizes[row, instance.label] = max(sizes[row, instance.label], (instance.side / SIDE) ** 2)
    return sizes


def build(request: DatasetRequest) -> Dataset:
    """Return the three splits; validation is a fifth of train's size and test two fifths."""
    seed, images = int(request.options["seed"]), int(request.options["train_images"])
    world = make_world(seed)
    return Dataset(
        name="digit-scenes",
        variant=f"{images} training scenes, seed {seed}",
        train=make_split("train", images, world, seed),
        validation=make_split("validation", max(images // 5, 50), world, seed),
        test=make_split("test", max(images * 2 // 5, 100), world, seed),
        protocol="digit-scenes@1",
        source="scikit-learn's bundled UCI handwritten digits",
    )


SPEC = DatasetSpec(
    name="digit-scenes",
    summary="scenes of real handwritten digits in three inks, 30 labels that depend on one another; built in",
    build=build,
    options=(
        Option("seed", 0, "draws the world and its scenes", minimum=0),
        Option("train_images", 5000, "training scenes; validation has a fifth as many, test two fifths", minimum=1000),
    ),
    backbone="digits-cnn",
    splits=("train", "validation", "test"),
    variants=((5_000, 2_000, "the built-in set as it comes: docs/results.md"),),
)
