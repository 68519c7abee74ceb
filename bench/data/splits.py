"""Parts of splits: some of the images, some of the labels, a part held out at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError
from bench.records import Images, Parts, Split
from bench.system.files import digest
from bench.system.lazy import lazy_import
from bench.system.room import copied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.records import BoolArray
else:
    np = lazy_import("numpy")

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Subset(Images):
    """Some of the images of a split, in another order perhaps."""

    images: Images
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.images.read(int(self.indices[index]))

    def picture(self, index: int) -> Picture:
        return self.images.picture(int(self.indices[index]))

    def describe(self, index: int) -> str:
        return self.images.describe(int(self.indices[index]))

    def hashed_over(self) -> str:
        return self.images.hashed_over()

    def content_hash(self) -> str:
        return digest(self.images.content_hash(), self.indices.tobytes())


def subset(split: Split, indices: Sequence[int] | NDArray[np.int64], name: str, room: Path | None = None) -> Split:
    """Return the images of ``split`` at ``indices``, in that order, as a split called ``name``.

    Large masks lie in the folder ``room``. Raises ``DataError`` for what is no place of an image: -1, a mask.
    """
    rows = np.asarray(indices)
    whole = rows.ndim == 1 and (rows.dtype.kind in "iu" or not len(rows))
    if not whole or (len(rows) and (rows.min() < 0 or rows.max() >= len(split))):
        raise DataError(f"{split.dataset}/{name}: indices are no list of whole numbers from 0 to {len(split) - 1}")
    rows = rows.astype(np.int64)
    return Split(
        dataset=split.dataset,
        name=name,
        ids=tuple(split.ids[row] for row in rows),
        labels=split.labels,
        truth=copied(split.truth, room, rows),
        images=Subset(split.images, rows),
        ignore=None if split.ignore is None else copied(split.ignore, room, rows),
        sizes=None if split.sizes is None else split.sizes[rows],
        groups=None if split.groups is None else tuple(split.groups[row] for row in rows),
    )


@dataclass(frozen=True, slots=True)
class _Joined(Images):
    """The images of one split behind those of another."""

    one: Images
    other: Images

    def __len__(self) -> int:
        return len(self.one) + len(self.other)

    def _at(self, index: int) -> tuple[Images, int]:
        return (self.one, index) if index < len(self.one) else (self.other, index - len(self.one))

    def read(self, index: int) -> NDArray[np.uint8]:
        images, row = self._at(index)
        return images.read(row)

    def picture(self, index: int) -> Picture:
        images, row = self._at(index)
        return images.picture(row)

    def describe(self, index: int) -> str:
        images, row = self._at(index)
        return images.describe(row)

    def hashed_over(self) -> str:
        return self.one.hashed_over()

    def content_hash(self) -> str:
        return digest(self.one.content_hash(), self.other.content_hash())


def joined(one: Split, other: Split, name: str) -> Split:
    """Return the images of ``one``, behind them those of ``other``, as a split called ``name``; they share no id."""
    ignore = None
    if one.ignore is not None or other.ignore is not None:
        masks = [np.zeros_like(part.truth) if part.ignore is None else part.ignore for part in (one, other)]
        ignore = np.concatenate(masks)
    truth = np.concatenate([one.truth, other.truth])
    return Split(
        one.dataset, name, (*one.ids, *other.ids), one.labels, truth, _Joined(one.images, other.images), ignore
    )


def with_validation(parts: Parts) -> Parts:
    """Return ``parts`` whose ``fit`` holds the validation part as well: all of train, where it was held out of that."""
    held_out = parts.dataset.validation is None
    return replace(parts, fit=parts.train if held_out else joined(parts.train, parts.validation, "fit"))


def narrow(split: Split, kept: BoolArray, *, drop_unlabelled: bool = False) -> Split:
    """Return ``split`` with only the labels ``kept``, (labels,) bool; on request without images that have no other."""
    kept = np.asarray(kept)
    if kept.shape != (len(split.labels),) or kept.dtype != np.bool_:
        raise DataError(f"{split.dataset}/{split.name}: kept is {kept.dtype} {kept.shape}, must be bool, one a label")

    def of(array: Any) -> Any:
        return None if array is None else np.ascontiguousarray(array[:, kept])

    labels = tuple(name for name, stays in zip(split.labels, kept, strict=True) if stays)
    truth, ignore, sizes = of(split.truth), of(split.ignore), of(split.sizes)
    narrowed = Split(split.dataset, split.name, split.ids, labels, truth, split.images, ignore, sizes, split.groups)
    return subset(narrowed, np.flatnonzero(truth.any(axis=1)), split.name) if drop_unlabelled else narrowed


def to_train_on(split: Split, ignored: str) -> tuple[BoolArray, BoolArray | None]:
    """Return truth and ignore mask as training sees them, both (images, labels) bool.

    ``ignored`` is the training option: what pairs of the mask are, ``leave_out`` (neither positive nor negative),
    ``negative`` or ``positive``. The mask is ``None`` where nothing is left out.
    """
    mask = split.ignore
    if mask is None or not mask.any():
        return split.truth, None
    if ignored == "leave_out":
        return split.truth, mask
    return (split.truth | mask if ignored == "positive" else split.truth), None


def _alike(names: Sequence[str]) -> list[list[int]]:
    """Return the places of each name, in the order of their first."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return list(places.values())


def hold_out(split: Split, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (kept, held) indices, each ascending, with about ``fraction`` of the images held out at random.

    Images of one group are held out together, and never more than half of all for one. An image is never held out if
    it is the last kept one of some label, so the kept part holds every label of ``split``. Raises ``DataError`` where
    that leaves nothing to hold out.
    """
    wanted = max(round(fraction * len(split)), 1)
    groups = None if split.groups is None else _alike(split.groups)
    remaining = split.truth.sum(axis=0)
    held: list[int] = []
    for number in np.random.default_rng(seed).permutation(len(groups or split)).tolist():
        if len(held) >= wanted:
            break
        rows = groups[number] if groups else [number]
        positive = split.truth[rows].sum(axis=0)
        if 2 * len(rows) <= max(len(split), 2) and (remaining > positive)[positive > 0].all():
            remaining = remaining - positive
            held += rows
    if not held or len(held) == len(split):
        few = f"{len(split)} images" + (f" of {len(groups)} groups" if groups else "")
        raise DataError(
            f"{split.dataset}/{split.name}: {few} are too few to hold out a validation part. Try: a larger train split"
        )
    mask = np.zeros(len(split), dtype=np.bool_)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)
