"""Image features from a frozen backbone: computed once, kept in a cache, read through a memory map."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.code import images_code
from bench.contracts import Backbone
from bench.errors import StoreError, UsageError
from bench.model import shared_features
from bench.model.encoding import Work, in_batches
from bench.model.engine import TORCH
from bench.model.feature_file import FeatureFile, Writing
from bench.records import Features, FloatArray, Parts, Split
from bench.system.files import canonical_json, digest
from bench.system.locks import exclusive
from bench.system.notes import note
from bench.system.sealed_files import read_sealed, write_sealed

BLOCK = 512
"""Images in a block of the cached file. A process killed at any moment loses at most the block in flight."""

MAP_BLOCK = 64
"""The same of feature maps, each a hundred times as large."""

MAP_LIMIT, MAP_GB = "BENCH_MAP_GB", 8.0
"""Environment variable, and what it is unless set: the most that one part's feature maps may take, in GB."""

STALE = 7 * 24 * 3600
"""Seconds after which what a killed extraction left, and nobody went on with, is removed."""


def extract(
    split: Split, fingerprint: str, backbone: Backbone, cache: Path, *, batch_size: int = 64, device: str = "cpu"
) -> Features:
    """Return the features of ``split``, from ``cache`` or computed now; ``fingerprint`` is the split's.

    The cache's key is the fingerprint, the backbone's architecture, weights, code and engine, the code that reads the
    images, and the preprocessing.
    ``batch_size`` changes the speed, and nothing else as far as the backbone's arithmetic allows: batches
    always have the same size, the last one padded. Raises ``DataError`` with the path of an image that cannot
    be read; what was computed until then is kept. What is read back is what was computed, to the byte: a cached
    block that is damaged is computed anew, with a word. Processes that need the same features wait for the one that
    computes them. Raises ``StoreError`` where the cache cannot be written.
    """
    key = feature_key(fingerprint, backbone, images_code(split.images))
    file = FeatureFile(
        cache / f"{key}.npy", key, len(split), backbone.shape, MAP_BLOCK if backbone.feature_map else BLOCK
    )
    values = file.open()
    if values is None:
        if backbone.feature_map:
            check_size(file, f"{split.dataset}/{split.name}", backbone.preprocessing.size)
        values = _compute(file, split, backbone, batch_size, device)
    return Features(split.ids, values, key)


@dataclass(frozen=True, slots=True)
class PartFeatures:
    """The features of a run's parts, in the order of their images."""

    fit: Features
    validation: Features
    test: Features


def of_parts(parts: Parts, backbone: Backbone, cache: Path, *, device: str = "cpu") -> PartFeatures:
    """Return the features of a run's parts, from ``cache`` or computed now; a held-out part's are rows of train's.

    A ``fit`` part with other images than train's has the validation part's behind them.
    """
    held_out = parts.dataset.validation is None
    if backbone.feature_map and held_out:
        # Rows of maps are not copied out of a file, but computed apart: together they may not fit in memory.
        def of_rows(part: Split) -> Features:
            return extract(part, digest(parts.fingerprints["train"], *part.ids), backbone, cache, device=device)

        test = extract(parts.test, parts.fingerprints["test"], backbone, cache, device=device)
        return PartFeatures(of_rows(parts.fit), of_rows(parts.validation), test)
    train = extract(parts.train, parts.fingerprints["train"], backbone, cache, device=device)
    validation = (
        _rows(train, parts.validation.ids)
        if held_out
        else extract(parts.validation, parts.fingerprints["validation"], backbone, cache, device=device)
    )
    test = extract(parts.test, parts.fingerprints["test"], backbone, cache, device=device)
    if held_out:
        return PartFeatures(_rows(train, parts.fit.ids), validation, test)
    return PartFeatures(train if parts.fit.ids == parts.train.ids else _joined(train, validation), validation, test)


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


def _rows(features: Features, ids: tuple[str, ...]) -> Features:
    position = {image: row for row, image in enumerate(features.ids)}
    rows = np.array([position[image] for image in ids])
    return Features(ids, np.ascontiguousarray(features.values[rows]), features.key)


def _joined(one: Features, other: Features) -> Features:
    return Features((*one.ids, *other.ids), np.concatenate([one.values, other.values]), digest(one.key, other.key))


def feature_key(fingerprint: str, backbone: Backbone, images_code: str = "") -> str:
    """Return the hash of all that the features of a split depend on; ``images_code`` is of a plugin that reads them."""
    code = [backbone.code, images_code, backbone.engine]
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


def _compute(file: FeatureFile, split: Split, backbone: Backbone, batch_size: int, device: str) -> FloatArray:
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
            record = _fill(writing, split, backbone, batch_size, device)
        if record:
            write_sealed(cache / f"{file.key}.speed", file.key, canonical_json(record).encode())
        shared_features.share(file, anew=fetched)
        values = file.open()
        if values is None:
            raise StoreError(f"{file.path} does not hold what was just written to it. Is the disk sound?")
        return values


def _fill(writing: Writing, split: Split, backbone: Backbone, batch_size: int, device: str) -> dict[str, Any]:
    """Compute and write the blocks that are missing; return what ``speed`` tells, empty if there were none."""
    file = writing.file
    rows = [row for block in writing.missing for row in file.rows_of(block)]
    started = time.perf_counter()
    unfinished = iter(writing.missing)
    pending: list[FloatArray] = []
    work = Work()
    for values in in_batches(split, rows, backbone, batch_size, device, cache=file.path.parent, work=work):
        pending.append(values)
        # Blocks are cut from the stream of rows, so the batches need not end where the blocks do.
        while sum(map(len, pending)) >= file.block:
            joined = np.concatenate(pending)
            writing.write(next(unfinished), joined[: file.block])
            pending = [joined[file.block :]]
    if sum(map(len, pending)):
        writing.write(next(unfinished), np.concatenate(pending))
    seconds = time.perf_counter() - started
    if not rows:
        return {}
    return {
        "images": len(rows),
        "seconds": seconds,
        "images_per_second": len(rows) / seconds,
        "engine": backbone.engine or TORCH,
        "difference": work.difference,
        "reading_seconds": work.reading,
        "network_seconds": work.network,
    }


def _remove_stale(cache: Path) -> None:
    """Remove the unfinished files and locks that nobody holds and nobody touched for long."""
    now = time.time()
    for path in (*cache.glob("*.part"), *cache.glob("*.lock")):
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > STALE:
                with exclusive(path.with_name(path.name.partition(".")[0] + ".lock"), path.name, wait=False):
                    path.unlink(missing_ok=True)
