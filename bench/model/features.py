"""Image features from a frozen backbone: computed once, kept in a cache, read through a memory map."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from bench.code import images_code
from bench.contracts import Backbone
from bench.errors import DataError, StoreError, UsageError
from bench.model import shared_features
from bench.model.encoding import Work, in_batches
from bench.model.engine import TORCH, rows_at_once
from bench.model.feature_file import FeatureFile, Writing
from bench.model.shares import Helpers, Share, divided, pieces_of, rows_missing
from bench.records import Features, FloatArray, Parts, Split
from bench.system.files import canonical_json, digest
from bench.system.locks import exclusive
from bench.system.notes import note
from bench.system.progress import stage
from bench.system.room import copied
from bench.system.sealed_files import read_sealed, write_sealed
from bench.system.threads import cores_shared

BLOCK = 512
"""Images in a block of the cached file. A process killed at any moment loses at most the block in flight."""

MAP_BLOCK = 64
"""The same of feature maps, each a hundred times as large."""

MAP_LIMIT, MAP_GB = "BENCH_MAP_GB", 8.0
"""Environment variable, and what it is unless set: the most that one part's feature maps may take, in GB."""

BATCH = 64
"""Images that torch or a GPU computes at once."""

STALE = 7 * 24 * 3600
"""Seconds after which what a killed extraction left, and nobody went on with, is removed."""


def extract(
    split: Split,
    fingerprint: str,
    backbone: Backbone,
    cache: Path,
    *,
    batch_size: int = BATCH,
    device: str = "cpu",
    helpers: Helpers | None = None,
) -> Features:
    """Return the features of ``split``, from ``cache`` or computed now; ``fingerprint`` is the split's.

    The cache's key is the fingerprint, the backbone's architecture, weights, code and engine, the code that reads the
    images, the preprocessing and the version of Pillow.
    ``batch_size`` changes the speed, and nothing else as far as the backbone's arithmetic allows: batches
    always have the same size, the last one padded. Raises ``DataError`` with the path of an image that cannot
    be read; what was computed until then is kept. What is read back is what was computed, to the byte: a cached
    block that is damaged is computed anew, with a word. Processes that need the same features wait for the one that
    computes them, and ``helpers`` share the work, to the same bytes. Raises ``StoreError`` where the cache cannot be
    written.
    """
    file = file_of(split, fingerprint, backbone, cache)
    key, values = file.key, file.open()
    if values is None:
        if backbone.feature_map:
            check_size(file, f"{split.dataset}/{split.name}", backbone.preprocessing.size)
        values = _compute(file, split, backbone, batch_size, device, helpers=helpers)
    return Features(split.ids, values, key)


def file_of(split: Split, fingerprint: str, backbone: Backbone, cache: Path) -> FeatureFile:
    """Return the file in ``cache`` that holds the features of ``split``, whose ``fingerprint`` it is, or will hold."""
    key = feature_key(fingerprint, backbone, images_code(split.images))
    block = MAP_BLOCK if backbone.feature_map else BLOCK
    return FeatureFile(cache / f"{key}.npy", key, len(split), backbone.shape, block)


@dataclass(frozen=True, slots=True)
class PartFeatures:
    """The features of a run's parts, in the order of their images."""

    fit: Features
    validation: Features
    test: Features


def of_parts(
    parts: Parts, backbone: Backbone, cache: Path, *, device: str = "cpu", helpers: Helpers | None = None
) -> PartFeatures:
    """Return the features of a run's parts, from ``cache`` or computed now; a held-out part's are rows of train's.

    A ``fit`` part with other images than train's has the validation part's behind them. ``helpers`` are other
    processes that open the same parts and backbone.
    """
    found = {
        name: extract(split, print_, backbone, cache, device=device, helpers=helpers)
        for name, (split, print_) in _extracted(parts, backbone).items()
    }
    test, train = found["test"], found.get("train")
    if train is None:
        return PartFeatures(found["fit"], found["validation"], test)
    if parts.dataset.validation is None:
        return PartFeatures(_rows(train, parts.fit.ids, cache), _rows(train, parts.validation.ids, cache), test)
    validation = found["validation"]
    return PartFeatures(train if parts.fit.ids == parts.train.ids else _joined(train, validation), validation, test)


def of_judged(parts: Parts, backbone: Backbone, cache: Path, *, device: str = "cpu") -> tuple[Features, Features]:
    """Return the features of the validation and test part alone, where they are files of their own."""
    wanted = _extracted(parts, backbone)
    if "validation" not in wanted:
        every = of_parts(parts, backbone, cache, device=device)
        return every.validation, every.test
    validation, test = (extract(*wanted[name], backbone, cache, device=device) for name in ("validation", "test"))
    return validation, test


def _extracted(parts: Parts, backbone: Backbone) -> dict[str, tuple[Split, str]]:
    """Return the splits whose features are files of their own, with their fingerprints, by name."""
    prints = parts.fingerprints
    test = {"test": (parts.test, prints["test"])}
    if parts.dataset.validation is not None:
        held_out = (parts.validation, prints["validation"])
        return {"train": (parts.train, prints["train"]), "validation": held_out} | test
    if backbone.feature_map is None:
        return {"train": (parts.train, prints["train"])} | test
    # Rows of maps are not copied out of a file, but computed apart: together they may not fit in memory.
    rows = {"fit": parts.fit, "validation": parts.validation}
    return test | {name: (part, digest(prints["train"], *part.ids)) for name, part in rows.items()}


def check_size(file: FeatureFile, split: str, side: int) -> None:
    """Raise ``UsageError`` where the feature maps of ``split``, of pictures of ``side`` pixels, are too large."""
    try:
        most = float(os.environ.get(MAP_LIMIT, MAP_GB))
    except ValueError:
        raise UsageError(f"{MAP_LIMIT}: found '{os.environ[MAP_LIMIT]}', allowed: a number of GB") from None
    size = file.size / 1e9
    if size > most:
        smaller = max(int(side * (most / size) ** 0.5) // 32 * 32, 32)
        raise UsageError(
            f"feature maps of {split}: {file.rows:,} of {' x '.join(map(str, file.shape))} in half precision are"
            f" {size:.3g} GB, allowed: {most:g} GB."
            f" Try: {MAP_LIMIT}={math.ceil(size)}, or --set backbone.size={smaller}"
        )


def _rows(features: Features, ids: tuple[str, ...], cache: Path) -> Features:
    position = {image: row for row, image in enumerate(features.ids)}
    rows = np.array([position[image] for image in ids])
    return Features(ids, copied(features.values, cache, rows), features.key)


def _joined(one: Features, other: Features) -> Features:
    return Features((*one.ids, *other.ids), np.concatenate([one.values, other.values]), digest(one.key, other.key))


def feature_key(fingerprint: str, backbone: Backbone, images_code: str = "") -> str:
    """Return the hash of all that the features of a split depend on; ``images_code`` is of a plugin that reads them.

    Pillow's version is part of it: releases differ in how they decode and resize, by a level of 255 here and there.
    """
    code = [backbone.code, images_code, backbone.engine, f"pillow {PIL.__version__}"]
    shaped_by = [backbone.name, backbone.architecture, backbone.weights_hash, asdict(backbone.preprocessing), code]
    return digest(fingerprint, canonical_json(shaped_by), *map(str, backbone.feature_map or ()))


def speed(cache: Path, key: str) -> dict[str, Any]:
    """Return how the extraction that made features ``key`` went, empty where that is not known.

    ``images``, ``seconds`` and ``images_per_second``; ``engine``, and ``difference`` of its features from torch's,
    relative to the largest; ``reading_seconds`` and ``network_seconds`` of all threads together.
    """
    record = read_sealed(cache / f"{key}.speed", key)
    # What was written whole can still be another version's.
    with contextlib.suppress(ValueError, TypeError):
        return {} if record is None else dict(json.loads(record))
    return {}


def _compute(
    file: FeatureFile, split: Split, backbone: Backbone, batch_size: int, device: str, *, helpers: Helpers | None
) -> FloatArray:
    """Return the features of ``file`` once its absent blocks are computed, here or by the process that holds them."""
    cache, what = file.path.parent, f"features of {split.dataset}/{split.name}"
    with contextlib.ExitStack() as stack:
        try:
            locked = stack.enter_context(exclusive(cache / f"{file.key}.lock", what))
        except OSError as error:
            raise StoreError(
                f"cannot write to the cache {cache}: {error.strerror or error}. Try: --cache with another folder"
            ) from error
        values = file.open()
        if values is not None:
            return values
        fetched = shared_features.fetch(file)
        if fetched and (values := file.open()) is not None:
            return values
        _remove_stale(cache)
        # Without locks another process may be at the same work, so each has a file of its own.
        part = cache / (f"{file.key}.part" if locked else f"{file.key}.{os.getpid()}.part")
        with file.writing(part) as writing:
            if writing.damaged:
                lost = f"{len(writing.missing):,} of {file.blocks:,} blocks"
                note(f"{what}: {file.path} was damaged; {lost} are computed anew")
            record = _fill(writing, split, backbone, batch_size, device, helpers=helpers, part=part)
            if record:  # before the features are there: who then finds them needs no lock, and removes none
                write_sealed(cache / f"{file.key}.speed", file.key, canonical_json(record).encode())
        shared_features.share(file, anew=fetched)
        values = file.open()
        if values is None:
            raise StoreError(f"{file.path} does not hold what was just written to it. Is the disk sound?")
        return values


def _fill(
    writing: Writing,
    split: Split,
    backbone: Backbone,
    batch_size: int,
    device: str,
    *,
    helpers: Helpers | None,
    part: Path,
) -> dict[str, Any]:
    """Compute and write the blocks that are missing; return what ``speed`` tells, empty if there were none."""
    rows, started, work = rows_missing(writing), time.perf_counter(), Work()
    if not rows:
        return {}
    # Whole batches, as one process computes them: then each image's features are the same to the bit. Between machines
    # no block is divided, as what another has written of one may not be seen here yet.
    unit = rows_at_once(backbone, device, batch_size)
    unit = writing.file.block if helpers is not None and helpers.local < helpers.count else unit
    helpers = helpers if len(rows) > unit else None  # one unit is done before another process has begun
    count = 1 if helpers is None else helpers.count
    shares = [Share(rank, count, unit) for rank in range(count)]
    done: list[dict[str, Any]] = []
    if helpers is None:
        _write(writing, split, backbone, batch_size, device, share=shares[0], work=work)
    else:
        order = {"key": writing.file.key, "part": str(part.absolute()), "missing": writing.missing}
        asked = helpers.ask("features", **order, batch_size=batch_size, unit=unit)
        with cores_shared(helpers.local):
            _write(writing, split, backbone, batch_size, device, share=shares[0], work=work, tell=asked.check)
        with stage(f"features of {split.dataset}/{split.name}: waiting for the other processes"):
            done = asked.wait()
        for block in sorted(divided(writing, shares)):
            writing.close(block)
    seconds = time.perf_counter() - started
    return {
        "images": len(rows),
        "seconds": seconds,
        "images_per_second": len(rows) / seconds,
        "engine": backbone.engine or TORCH,
        "difference": max([work.difference, *(one["difference"] for one in done)]),
        "reading_seconds": work.reading + sum(one["reading"] for one in done),
        "network_seconds": work.network + sum(one["network"] for one in done),
        **({} if helpers is None else {"processes": count}),
    }


def help_extract(
    parts: Parts,
    backbone: Backbone,
    cache: Path,
    order: Mapping[str, Any],
    *,
    rank: int,
    count: int,
    device: str,
    tell: Callable[[], None],
) -> dict[str, float]:
    """Compute the part of process ``rank`` of what rank 0 ``ask``s ``Helpers`` for; return what the work was.

    ``tell`` is called between batches. Raises ``DataError`` where images or backbone are not those of rank 0.
    """
    for split, fingerprint in _extracted(parts, backbone).values():
        file = file_of(split, fingerprint, backbone, cache)
        if file.key == order["key"]:
            break
    else:
        raise DataError(f"its images of {parts.train.dataset}, its backbone or its code are others than process 0's")
    work, share = Work(), Share(rank, count, int(order["unit"]))
    with Writing.beside(file, Path(order["part"]), list(order["missing"])) as writing:
        _write(writing, split, backbone, int(order["batch_size"]), device, share=share, work=work, tell=tell)
    return {"difference": work.difference, "reading": work.reading, "network": work.network}


def _write(
    writing: Writing,
    split: Split,
    backbone: Backbone,
    batch_size: int,
    device: str,
    *,
    share: Share,
    work: Work,
    tell: Callable[[], None] = lambda: None,
) -> None:
    """Compute and write this process's share of the rows that are missing, block by block."""
    missing, pieces = rows_missing(writing), list(pieces_of(writing, share))
    own = share.of(len(missing))
    if not pieces:
        return
    pending: list[FloatArray] = []
    rows, cache = missing[own.start : own.stop], writing.file.path.parent
    for values in in_batches(split, rows, backbone, batch_size, device, cache=cache, work=work):
        tell()
        pending.append(values)
        # Blocks are cut from the stream of rows, so the batches need not end where the blocks do.
        while pieces and sum(map(len, pending)) >= len(pieces[0][1]):
            joined, (block, piece) = np.concatenate(pending), pieces.pop(0)
            if piece == writing.file.rows_of(block):
                writing.write(block, joined[: len(piece)])
            else:
                writing.put(piece.start, joined[: len(piece)])
            pending = [joined[len(piece) :]]


def _remove_stale(cache: Path) -> None:
    """Remove the unfinished files and locks that nobody holds and nobody touched for long."""
    now = time.time()
    for path in (*cache.glob("*.part"), *cache.glob("*.lock")):
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > STALE:
                with exclusive(path.with_name(path.name.partition(".")[0] + ".lock"), path.name, wait=False):
                    path.unlink(missing_ok=True)
