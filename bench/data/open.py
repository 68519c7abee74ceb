"""A data set opened, and checked for what every run needs."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.contracts import DatasetRequest, DatasetSpec
from bench.data.copies import parted_groups
from bench.data.guarded import each_split, named_images
from bench.data.unpack import unfinished
from bench.errors import DataError, PluginError, UsageError
from bench.guard import HOST, calling, is_first_party
from bench.records import BoolArray, Dataset, Split
from bench.remote.address import is_remote
from bench.system.room import LARGE, copied
from bench.system.text import first_few


def open_dataset(spec: DatasetSpec, request: DatasetRequest, origin: object = "", made_by: str = "") -> Dataset:
    """Return the data set, checked for what every run needs; ``origin`` is its plugin, which failures name.

    ``made_by`` is what features of pictures that the plugin reads itself are found by, beside what it says of them.
    Raises ``PluginError`` where the plugin fails or gives something else, ``UsageError`` where the data root is missing
    or was given in vain, as a split may be, ``DataError`` for a folder that was unpacked in part, classes without a
    positive in train, and images that are in train and in test, or in train and in a validation part. Groups that two
    parts share have a note; a validation part that is yet to be drawn shares none with what is left of train.
    """
    if spec.expects and request.root is None and not spec.root_optional:
        fetched = sum(archive.size for archive in spec.archives) / 1e9
        first = f"bench data download {spec.name} --out DIR ({fetched:.1f} GB), then " if fetched else ""
        raise UsageError(
            f"dataset '{spec.name}' needs its files. Try: {first}--data-root DIR, where DIR holds {spec.expects}"
        )
    if request.root is not None:
        if not spec.expects:
            raise UsageError(f"dataset '{spec.name}' is built in and reads no files. Try: without --data-root")
        if not request.root.is_dir():
            lies = "no bucket or folder, or an empty one" if is_remote(request.root) else "no folder"
            raise DataError(f"data root {request.root} is {lies}. '{spec.name}' expects there: {spec.expects}")
        if part := unfinished({request.root, *(request.root / archive.folder for archive in spec.archives)}):
            raise DataError(
                f"{request.root}: {part} was not unpacked to its end."
                f" Try: bench data download {spec.name} --out {shlex.quote(str(request.root))}"
            )
    with calling(origin or HOST, "open data set", f"data set '{spec.name}'", seed=0):
        dataset = spec.build(request)
        if not isinstance(dataset, Dataset):
            raise PluginError(f"build returned a {type(dataset).__name__}, must return a bench.Dataset")
        foreign = bool(origin) and not is_first_party(origin)
        if foreign:
            dataset = _of_its_own(dataset, request.cache)
    _require_asked(spec.name, dataset, request)
    if not foreign:  # whose masks are copied already, large ones into that room
        dataset = _with_room(dataset, request.cache)
    _check_splits(dataset, spec.without_absent_labels)
    given = (dataset.train, *filter(None, [dataset.validation]), dataset.test)
    dataset = replace(dataset, notes=(*dataset.notes, *parted_groups(given)))
    return named_images(dataset, origin, made_by) if origin else dataset


def _with_room(dataset: Dataset, room: Path | None) -> Dataset:
    """Return ``dataset``, its large masks in the folder ``room``: the memory that they were made in is given back."""

    def of(split: Split) -> Split:
        if room is None or split.truth.size < LARGE:
            return split
        ignore = None if split.ignore is None else copied(split.ignore, room)
        return replace(split, truth=copied(split.truth, room), ignore=ignore)

    return each_split(dataset, of)


def _of_its_own(dataset: Dataset, room: Path | None) -> Dataset:
    """Return ``dataset`` with names and masks of its own, which its plugin cannot change; large masks lie in ``room``.

    Raises ``DataError`` for names that are no texts, labels that are shown alike, and masks that are no plain arrays.
    """

    def of(split: Split) -> Split:
        where = f"{dataset.name}/{split.name}"
        return replace(
            split,
            ids=_texts(split.ids, f"image ids of {where}"),
            labels=_told_apart(_texts(split.labels, f"labels of {where}"), where),
            truth=_plain(split.truth, room, f"truth of {where}"),
            ignore=None if split.ignore is None else _plain(split.ignore, room, f"ignore of {where}"),
        )

    return each_split(dataset, of)


def _texts(names: Iterable[str], what: str) -> tuple[str, ...]:
    # The order of a set is another one in each process, and names stand in that of the rows or columns of truth.
    found = () if isinstance(names, (str, set, frozenset)) else tuple(names)
    wrong = [name for name in found if not isinstance(name, str) or not name.strip()]
    if not found or wrong:
        shown = f"{wrong[0]!r}" if wrong else f"a {type(names).__name__}"
        remedy = "a list, in truth's order" if isinstance(names, (set, frozenset)) else "str(name) for each"
        raise DataError(f"{what}: found {shown}, must be texts that are not empty, in order. Try: {remedy}")
    return tuple(map(str, found))


def _told_apart(labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(unicodedata.normalize("NFC", " ".join(label.split())), label)
        if other != label:
            raise DataError(f"labels of {where}: {other!a} and {label!a} are shown alike. Try: one name for both")
    return labels


def _plain(mask: BoolArray, room: Path | None, what: str) -> BoolArray:
    if type(mask) not in {np.ndarray, np.memmap}:
        raise DataError(f"{what} is a {type(mask).__name__}, must be a plain array: what it masks would be lost")
    return copied(mask, room)


def _require_asked(name: str, dataset: Dataset, request: DatasetRequest) -> None:
    """Raise ``UsageError`` where a data set has other splits than those that were asked for."""
    for option, asked, split in (
        ("--train-split", request.train_split, dataset.train),
        ("--test-split", request.test_split, dataset.test),
    ):
        if asked and split.name != asked:
            raise UsageError(
                f"{option}: found '{asked}', and dataset '{name}' has '{split.name}' there. Try: without {option}"
            )


def _check_splits(dataset: Dataset, remedy: str) -> None:
    absent = np.flatnonzero(~dataset.train.truth.any(axis=0))
    if len(absent):
        names = first_few([dataset.labels[label] for label in absent], 5)
        raise DataError(
            f"{dataset.name}: {len(absent)} of {len(dataset.labels)} labels have no image in {dataset.train.name}:"
            f" {names}. A model cannot learn them. Try: {remedy}"
        )
    train = set(dataset.train.ids)
    if shared := train & set(dataset.test.ids):
        raise DataError(
            f"{dataset.name}: {len(shared)} images are in both {dataset.train.name} and {dataset.test.name}, as"
            f" '{min(shared)}'. Try: other splits with --train-split and --test-split"
        )
    if dataset.validation is not None and (shared := train & set(dataset.validation.ids)):
        raise DataError(
            f"{dataset.name}: {len(shared)} images of {dataset.train.name} are in its validation part, too, as"
            f" '{min(shared)}', and nothing may be chosen on what was trained on."
            " Try: another --train-split, or none for validation"
        )
