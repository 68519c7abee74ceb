"""The label prefixes of a training batch, each once: what a memory that sees labels only has to compute."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from bench import BoolArray

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The distinct prefixes of a batch's target sequences, and the steps that they are part of.

    Prefixes are rows, in the order of their lengths: ``levels[t]`` are the rows of those of t labels, and row 0 is the
    empty one. ``parents`` (rows,) is the row of the prefix without its last label, 0 for the empty one; ``labels``
    (rows,) is that label, START for the empty one. ``continued`` are the rows that are parents, ascending, and
    ``spans[t]`` those of t labels among them, so that ``siblings`` (rows,) is where in ``spans[t - 1]`` the parent of a
    prefix of t labels stands, 0 for the empty one: what depends on the parent alone is computed once for all siblings.
    A step is a place in one image's sequence: ``images``, ``rows`` and ``targets`` (steps,) are its image, the row of
    what stands before it, and the label that is to follow, END behind the last. Steps are ordered by place, then image.
    """

    levels: tuple[slice, ...]
    parents: torch.Tensor
    labels: torch.Tensor
    continued: torch.Tensor
    spans: tuple[slice, ...]
    siblings: torch.Tensor
    images: torch.Tensor
    rows: torch.Tensor
    targets: torch.Tensor


def prefixes_of(truth: torch.Tensor, order: torch.Tensor) -> Prefixes:
    """Return the prefixes of the target sequences of (n, labels) bool ``truth``, on its device.

    A sequence names the labels of an image in ``order`` (labels,), then END, which is ``labels``; START is one more.
    """
    labels, arranged = truth.shape[1], order.cpu().numpy()
    ranked = truth.cpu().numpy()[:, arranged]
    targets, lengths = _sequences(ranked, arranged)
    # Images whose sequences begin alike become neighbours, at every length of the beginning.
    neighbours = np.lexsort(np.packbits(ranked, axis=1).T[::-1])
    near = targets[neighbours]
    places = np.arange(targets.shape[1])
    within = places <= lengths[:, None]
    new = within[neighbours]
    new[1:, 0] = False
    new[1:, 1:] &= np.logical_or.accumulate(near[1:, :-1] != near[:-1, :-1], axis=1)
    rows = np.empty_like(targets)
    rows[neighbours] = new.T.ravel().cumsum().reshape(new.T.shape).T - 1
    length, first = new.T.nonzero()
    last = np.maximum(length - 1, 0)
    parents = np.where(length > 0, rows[neighbours[first], last], 0)
    bounds = np.concatenate([[0], np.cumsum(new.sum(axis=0))])
    # Siblings are neighbours, in the order of their parents.
    another = np.diff(parents[1:], prepend=-1) > 0
    continued = parents[1:][another]
    among = np.searchsorted(continued, bounds)
    siblings = np.concatenate([[0], another.cumsum() - 1 - among[length[1:] - 1]])
    place, image = within.T.nonzero()

    def there(array: Int64Array) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.int64, copy=False)).to(truth.device)

    return Prefixes(
        levels=_slices(bounds),
        parents=there(parents),
        labels=there(np.where(length > 0, near[first, last], labels + 1)),
        continued=there(continued),
        spans=_slices(among),
        siblings=there(siblings),
        images=there(image),
        rows=there(rows[image, place]),
        targets=there(targets[image, place]),
    )


def _slices(bounds: Int64Array) -> tuple[slice, ...]:
    return tuple(slice(int(start), int(end)) for start, end in pairwise(bounds))


def held(prefixes: Prefixes, count: int) -> torch.Tensor:
    """Return which labels each prefix holds, START's among them, (rows, ``count``) float in {0, 1, ...}."""
    parents, labels = prefixes.parents.cpu().numpy(), prefixes.labels.cpu().numpy()
    holds = torch.zeros((len(labels), count))
    array = holds.numpy()  # whose calls on a few rows cost a fifth of torch's
    array[np.arange(len(labels)), labels] = 1.0
    for level in prefixes.levels[1:]:
        array[level] += array[parents[level]]
    return holds.to(prefixes.labels.device)


def _sequences(ranked: BoolArray, order: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the sequences (n, longest + 1) with END and then -1 behind them, and how many labels each has, (n,)."""
    lengths = ranked.sum(axis=1)
    targets = np.full((len(ranked), int(lengths.max()) + 1), -1, dtype=np.int64)
    image, rank = ranked.nonzero()
    targets[image, np.arange(len(image)) - (lengths.cumsum() - lengths)[image]] = order[rank]
    targets[np.arange(len(ranked)), lengths] = ranked.shape[1]
    return targets, lengths
