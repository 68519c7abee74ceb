"""A data set under its checks: opened as the host opens it, its pictures read as backbones read them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.contracts import DatasetRequest, DatasetSpec
from bench.data.fingerprint import fingerprint
from bench.data.guarded import NamedImages
from bench.data.open import open_dataset
from bench.errors import NotRun
from bench.evaluation import protocols
from bench.options import OptionValue
from bench.plugins import Origin
from bench.records import Dataset, Split
from bench.testing.checks import Table, require
from bench.testing.common import add_common, pickled

LOOKED_AT = 12
"""Pictures of a split that are read, evenly over it."""

THREADS = 8


@dataclass(slots=True)
class DatasetPart:
    """One data set under its checks, with its options, resolved, and the folder that its files lie in."""

    spec: DatasetSpec
    origin: Origin | str
    options: Mapping[str, OptionValue]
    root: Path | None = None
    kind: str = "data set"
    folders: tuple[str, ...] = ("cache",)
    _opened: Dataset | None = field(default=None)

    @property
    def name(self) -> str:
        """Return the data set's name."""
        return self.spec.name

    def open(self, cache: Path | None = Path("cache")) -> Dataset:
        """Return the data set, opened anew."""
        if self.spec.expects and self.root is None and not self.spec.root_optional:
            raise NotRun(f"its files are not here: --data-root DIR, where DIR holds {self.spec.expects}")
        return open_dataset(self.spec, self.request(cache), self.origin)

    def request(self, cache: Path | None) -> DatasetRequest:
        """Return what the data set is built from."""
        return DatasetRequest(self.options, self.root, cache=cache.absolute() if cache else None)

    @property
    def dataset(self) -> Dataset:
        """Return the data set, opened once."""
        if self._opened is None:
            self._opened = self.open(cache=None)
        return self._opened

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return its splits: train, validation if there is one, test."""
        found = self.dataset
        return tuple(split for split in (found.train, found.validation, found.test) if split is not None)


DATASET_CHECKS = Table()
check = DATASET_CHECKS.check


def _by_itself(split: Split) -> Split:
    """Return ``split`` with the plugin's own hash of its pictures, to which the host adds what it sees of them."""
    return replace(split, images=split.images.images) if isinstance(split.images, NamedImages) else split


def _rows(split: Split) -> list[int]:
    return [int(row) for row in np.unique(np.linspace(0, len(split) - 1, min(LOOKED_AT, len(split))).round())]


@check(
    "build gives a bench.Dataset whose splits share no image, and each label has a training image",
    remedy="see bench.DatasetSpec and bench.Split",
)
def opens(part: DatasetPart) -> str:  # noqa: D103 - the claim says it, here and below
    found = part.dataset
    sizes = ", ".join(f"{len(split):,} of {split.name}" for split in part.splits)
    return f"{len(found.labels)} labels; {sizes}"


@check(
    "its protocol is known and asks for no more labels than there are",
    remedy="protocol='top3@1', or one of bench protocols",
    needs=["opens"],
)
def protocol_fits(part: DatasetPart) -> None:  # noqa: D103
    protocols.check(protocols.get(part.dataset.protocol), part.dataset.labels)


@check(
    "label names are text that can be shown: not empty, no blanks around them",
    remedy="name.strip(), and refuse a name that is then empty",
    needs=["opens"],
)
def labels_have_names(part: DatasetPart) -> None:  # noqa: D103
    odd = [
        name
        for name in part.dataset.labels
        if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable()
    ]
    require(not odd, f"label names {', '.join(map(repr, odd[:3]))}")


@check(
    "opened again, with and without a cache, it is the same",
    remedy="sort what a folder lists, seed what is drawn, and keep through bench.kept",
    needs=["opens"],
)
def opened_again_it_is_the_same(part: DatasetPart) -> None:  # noqa: D103
    expected = [fingerprint(_by_itself(split)) for split in part.splits]
    for how in ("an empty cache", "a filled cache"):
        again = part.open()
        splits = [split for split in (again.train, again.validation, again.test) if split is not None]
        found = [fingerprint(_by_itself(split)) for split in splits]
        require(found == expected, f"opened with {how} its fingerprints are {found}, before: {expected}")


@check(
    "pictures are RGB, and read and picture give the same",
    remedy="read returns uint8 (height, width, 3); derive from bench.Images, which has picture",
    needs=["opens"],
)
def pictures_are_rgb(part: DatasetPart) -> None:  # noqa: D103
    for split in part.splits:
        for row in _rows(split):
            pixels = split.images.read(row)
            require(
                isinstance(pixels, np.ndarray)
                and pixels.dtype == np.uint8
                and pixels.ndim == 3
                and pixels.shape[2] == 3,
                f"image {row} of {split.name} is a {getattr(pixels, 'dtype', type(pixels).__name__)} array of shape"
                f" {getattr(pixels, 'shape', ())}",
            )
            same = np.array_equal(pixels, np.asarray(split.images.picture(row)))
            require(same, f"image {row} of {split.name}: picture gives other pixels than read")


@check(
    "a picture is the same in any order, and read by several threads at once",
    remedy="open a file in each call, or lock what is shared: seek and read of one file are two steps",
    needs=["pictures_are_rgb"],
)
def threads_read_the_same(part: DatasetPart) -> None:  # noqa: D103
    for split in part.splits:
        rows = _rows(split)
        expected = {row: split.images.read(row) for row in rows}
        with ThreadPoolExecutor(THREADS) as pool:
            many = [*reversed(rows), *rows] * 3
            for row, found in zip(many, pool.map(split.images.read, many), strict=True):
                require(np.array_equal(found, expected[row]), f"image {row} of {split.name} differs when read again")


@check(
    "each picture has a name by which a user finds it",
    remedy="describe returns the path, or where in an archive it is",
    needs=["opens"],
)
def pictures_have_names(part: DatasetPart) -> None:  # noqa: D103
    for split in part.splits:
        rows = _rows(split)
        names = [split.images.describe(row) for row in rows]
        require(all(isinstance(name, str) and name for name in names), f"{split.name}: found {names[:3]}")
        require(len(set(names)) == len(rows), f"{split.name}: several images are called '{names[0]}'")


@check(
    "splits of other pictures have other hashes",
    remedy="content_hash is over the pictures' bytes: bench.digest of them, or of what they are drawn from",
    needs=["opens"],
)
def hashes_tell_splits_apart(part: DatasetPart) -> None:  # noqa: D103
    hashes = [_by_itself(split).images.content_hash() for split in part.splits]
    require(all(isinstance(one, str) and one for one in hashes), f"content_hash gives {hashes}")
    require(len(set(hashes)) == len(hashes), f"all splits have the hash {hashes[0]}")


def _used(part: DatasetPart) -> None:
    # By its own build: the border of ``open_dataset`` would put back what is looked for.
    for split in (found := part.spec.build(part.request(Path("cache")))).train, found.test:
        fingerprint(split)
        for row in _rows(split)[:2]:
            split.images.picture(row)


add_common(DATASET_CHECKS, _used, "opens")


@check(
    "its pictures can be pickled, as workers need them",
    remedy="no open files, locks and lambdas in images; open a file where it is read",
    needs=["pictures_are_rgb"],
)
def pickles(part: DatasetPart) -> None:  # noqa: D103
    for split in part.splits:
        images = pickled(split.images)
        for row in _rows(split)[:2]:
            require(np.array_equal(images.read(row), split.images.read(row)), f"image {row} of {split.name} differs")


@check("what it costs is told and not judged", remedy="", needs=["pictures_are_rgb"])
def cost(part: DatasetPart) -> str:  # noqa: D103
    started = time.perf_counter()
    found = part.open(cache=None)
    opened = time.perf_counter()
    rows = _rows(found.train)
    for row in rows:
        found.train.images.picture(row)
    each = (time.perf_counter() - opened) / len(rows)
    return f"opened in {opened - started:.2f} s, a picture read in {1000 * each:.1f} ms"
