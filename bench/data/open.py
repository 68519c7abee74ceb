"""Data sets as arrays: opened, held out, fingerprinted, counted and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import DatasetRequest, DatasetSpec
from bench.data.images import picture
from bench.data.unpack import unfinished
from bench.errors import DataError, UsageError
from bench.records import BoolArray, Dataset, Images, Split
from bench.system.files import digest

BLOCK = 1 << 14
"""Images whose truth is held as numbers at once."""


def open_dataset(spec: DatasetSpec, request: DatasetRequest) -> Dataset:
    """Return the data set, checked for what every run needs.

    Raises ``UsageError`` where the data root is missing or was given in vain, ``DataError`` for a folder that was
    unpacked in part, classes without a positive in train, and images that are in train and in test.
    """
    if spec.expects and request.root is None and not spec.root_optional:
        raise UsageError(f"dataset '{spec.name}' needs its files. Try: --data-root DIR, where DIR holds {spec.expects}")
    if request.root is not None:
        if not spec.expects:
            raise UsageError(f"dataset '{spec.name}' is built in and reads no files. Try: without --data-root")
        if not request.root.is_dir():
            raise DataError(f"data root {request.root} is no folder. '{spec.name}' expects there: {spec.expects}")
        if part := unfinished({request.root, *(request.root / archive.folder for archive in spec.archives)}):
            raise DataError(
                f"{request.root}: {part} was not unpacked to its end."
                f" Try: bench data download {spec.name} --to {request.root}"
            )
    dataset = spec.build(request)
    droppable = any(option.name == "absent_labels" for option in spec.options)
    _check_splits(dataset, "--set dataset.absent_labels=drop" if droppable else "another train split")
    return dataset


def _check_splits(dataset: Dataset, remedy: str) -> None:
    absent = np.flatnonzero(~dataset.train.truth.any(axis=0))
    if len(absent):
        names = ", ".join(dataset.labels[label] for label in absent[:5]) + (", ..." if len(absent) > 5 else "")
        raise DataError(
            f"{dataset.name}: {len(absent)} of {len(dataset.labels)} labels have no image in {dataset.train.name}:"
            f" {names}. A model cannot learn them. Try: {remedy}"
        )
    shared = set(dataset.train.ids) & set(dataset.test.ids)
    if shared:
        raise DataError(
            f"{dataset.name}: {len(shared)} images are in both {dataset.train.name} and {dataset.test.name}, as"
            f" '{min(shared)}'. Try: other splits with --train-split and --test-split"
        )


@dataclass(frozen=True, slots=True)
class _Subset:
    """Some of the images of a split, in another order perhaps."""

    images: Images
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.images.read(int(self.indices[index]))

    def picture(self, index: int) -> Any:
        return picture(self.images, int(self.indices[index]))

    def describe(self, index: int) -> str:
        return self.images.describe(int(self.indices[index]))

    @property
    def hashed(self) -> str:
        return str(getattr(self.images, "hashed", ""))

    def content_hash(self) -> str:
        return digest(self.images.content_hash(), self.indices.tobytes())


def subset(split: Split, indices: Sequence[int] | NDArray[np.int64], name: str) -> Split:
    """Return the images of ``split`` at ``indices``, in that order, as a split called ``name``."""
    rows = np.asarray(indices, dtype=np.int64)
    return Split(
        dataset=split.dataset,
        name=name,
        ids=tuple(split.ids[row] for row in rows),
        labels=split.labels,
        truth=split.truth[rows],
        images=_Subset(split.images, rows),
        ignore=None if split.ignore is None else split.ignore[rows],
        sizes=None if split.sizes is None else split.sizes[rows],
    )


def narrow(split: Split, kept: BoolArray, *, drop_unlabelled: bool = False) -> Split:
    """Return ``split`` with only the labels ``kept``, (labels,) bool; on request without images that have no other."""

    def of(array: Any) -> Any:
        return None if array is None else np.ascontiguousarray(array[:, kept])

    labels = tuple(name for name, stays in zip(split.labels, kept, strict=True) if stays)
    truth, ignore, sizes = of(split.truth), of(split.ignore), of(split.sizes)
    narrowed = Split(split.dataset, split.name, split.ids, labels, truth, split.images, ignore, sizes)
    return subset(narrowed, np.flatnonzero(truth.any(axis=1)), split.name) if drop_unlabelled else narrowed


def hold_out(split: Split, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (kept, held) indices, each ascending, with about ``fraction`` of the images held out at random.

    An image is never held out if it is the last kept one of some label, so the kept part holds every
    label of ``split``. Raises ``DataError`` where that leaves nothing to hold out.
    """
    wanted = max(round(fraction * len(split)), 1)
    order = np.random.default_rng(seed).permutation(len(split))
    remaining = split.truth.sum(axis=0)
    held: list[int] = []
    for row in order:
        if len(held) == wanted:
            break
        positive = split.truth[row]
        if (remaining[positive] > 1).all():
            remaining = remaining - positive
            held.append(int(row))
    if not held or len(held) == len(split):
        raise DataError(
            f"{split.dataset}/{split.name}: {len(split)} images are too few to hold out a validation part."
            " Try: a larger train split"
        )
    mask = np.zeros(len(split), dtype=np.bool_)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def fingerprint(split: Split) -> str:
    """Return 16 hex digits over ids, labels, truth, ignore mask and the pictures' content, in their order."""
    ignore = b"" if split.ignore is None else np.packbits(split.ignore).tobytes()
    truth = np.packbits(split.truth).tobytes()
    return digest("\n".join(split.ids), "\n".join(split.labels), truth, ignore, split.images.content_hash())


def fingerprint_over(split: Split) -> str:
    """Return in words what ``fingerprint`` is over."""
    pictures = getattr(split.images, "hashed", "") or "what its data set hashes of the images"
    return f"ids, labels, truth, ignore mask; {pictures}"


def statistics(split: Split) -> dict[str, Any]:
    """Return what a reader asks first of a split, as JSON values.

    ``label_cardinality`` is labels per image; ``imbalance`` the most over the least frequent label's count;
    ``cooccurrence`` the pairs of labels that are together most often, with their count and lift, which is
    how many times more often than if they were independent.
    """
    truth = split.truth
    counts = truth.sum(axis=0)
    per_image = truth.sum(axis=1)
    together = cooccurrence(truth)
    pairs = np.triu(together, 1)
    # A stable sort: pairs that are together equally often stand in the labels' order.
    best = [divmod(int(place), len(split.labels)) for place in np.argsort(-pairs, axis=None, kind="stable")[:10]]
    return {
        "dataset": split.dataset,
        "split": split.name,
        "images": len(split),
        "labels": len(split.labels),
        "label_cardinality": float(per_image.mean()),
        "unlabelled_images": int((per_image == 0).sum()),
        "ignored_pairs": 0 if split.ignore is None else int(split.ignore.sum()),
        "imbalance": float(counts.max() / max(int(counts.min()), 1)),
        "cardinality_histogram": np.bincount(per_image).tolist(),
        "label_counts": {name: int(count) for name, count in zip(split.labels, counts, strict=True)},
        "ignored_counts": {}
        if split.ignore is None
        else {name: int(count) for name, count in zip(split.labels, split.ignore.sum(axis=0), strict=True)},
        "cooccurrence": [
            {
                "labels": [split.labels[first], split.labels[second]],
                "images": int(together[first, second]),
                "lift": float(together[first, second] * len(split) / (counts[first] * counts[second])),
            }
            for first, second in best
            if pairs[first, second]
        ],
        "fingerprint": fingerprint(split),
        "fingerprint_over": fingerprint_over(split),
    }


def cooccurrence(truth: BoolArray) -> NDArray[np.int64]:
    """Return how many images hold both labels, (labels, labels); the diagonal counts each label's images."""
    counts = np.zeros((truth.shape[1], truth.shape[1]), dtype=np.int64)
    for start in range(0, len(truth), BLOCK):
        # float32 is exact up to 2**24 images, and has a fast matrix product where integers have none.
        values = truth[start : start + BLOCK].astype(np.float32)
        counts += np.rint(values.T @ values).astype(np.int64)
    return counts
