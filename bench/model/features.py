"""Image features from a frozen backbone: computed once, kept in a cache, read through a memory map."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.code import images_code
from bench.contracts import Backbone
from bench.data.loading import load
from bench.errors import ModelError
from bench.records import Features, FloatArray, Parts, Split
from bench.system.files import atomic_path, canonical_json, digest, write_atomic
from bench.system.progress import progress_bar

SHARD = 512
"""Images per shard. A process killed at any moment loses at most the shard in flight."""


def extract(
    split: Split, fingerprint: str, backbone: Backbone, cache: Path, *, batch_size: int = 64, device: str = "cpu"
) -> Features:
    """Return the features of ``split``, from ``cache`` or computed now; ``fingerprint`` is the split's.

    The cache's key is the fingerprint, the backbone's architecture, weights and code, the code that reads the images,
    and the preprocessing.
    ``batch_size`` changes the speed, and nothing else as far as the backbone's arithmetic allows: batches
    always have that size, the last one padded. Raises ``DataError`` with the path of an image that cannot
    be read; what was computed until then is kept.
    """
    key = feature_key(fingerprint, backbone, images_code(split.images))
    path = cache / f"{key}.npy"
    values = _open(path, split, backbone)
    if values is None:
        _compute(split, backbone, path, batch_size, device)
        values = _open(path, split, backbone)
        assert values is not None, "features were written but cannot be read"
    return Features(split.ids, values, key)


@dataclass(frozen=True, slots=True)
class PartFeatures:
    """The features of a run's parts, in the order of their images."""

    fit: Features
    validation: Features
    test: Features


def of_parts(parts: Parts, backbone: Backbone, cache: Path, *, device: str = "cpu") -> PartFeatures:
    """Return the features of a run's parts, from ``cache`` or computed now; a held-out part's are rows of train's."""
    train = extract(parts.train, parts.fingerprints["train"], backbone, cache, device=device)
    held_out = parts.dataset.validation is None
    validation = (
        _rows(train, parts.validation.ids)
        if held_out
        else extract(parts.validation, parts.fingerprints["validation"], backbone, cache, device=device)
    )
    test = extract(parts.test, parts.fingerprints["test"], backbone, cache, device=device)
    return PartFeatures(_rows(train, parts.fit.ids) if held_out else train, validation, test)


def _rows(features: Features, ids: tuple[str, ...]) -> Features:
    position = {image: row for row, image in enumerate(features.ids)}
    rows = np.array([position[image] for image in ids])
    return Features(ids, np.ascontiguousarray(features.values[rows]), features.key)


def feature_key(fingerprint: str, backbone: Backbone, images_code: str = "") -> str:
    """Return the hash of all that the features of a split depend on; ``images_code`` is of a plugin that reads them."""
    code = [backbone.code, images_code]
    shaped_by = [backbone.name, backbone.architecture, backbone.weights_hash, asdict(backbone.preprocessing), code]
    return digest(fingerprint, canonical_json(shaped_by))


def speed(cache: Path, key: str) -> dict[str, float]:
    """Return ``images``, ``seconds`` and ``images_per_second`` of the extraction that made features ``key``."""
    import json

    record = cache / f"{key}.json"
    return dict(json.loads(record.read_bytes())) if record.is_file() else {}


def _open(path: Path, split: Split, backbone: Backbone) -> FloatArray | None:
    """Return the cached features, or ``None`` where they are absent or not whole."""
    if not path.is_file():
        return None
    try:
        values: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    whole = values.shape == (len(split), backbone.dimensions) and values.dtype == np.float32
    return values if whole else None


def _compute(split: Split, backbone: Backbone, path: Path, batch_size: int, device: str) -> None:
    """Compute the shards that are not there yet, then join them into ``path``."""
    shards = [path.with_suffix(f".{start // SHARD:05d}.npy") for start in range(0, len(split), SHARD)]
    todo = [index for index, shard in enumerate(shards) if not _is_shard(shard, backbone)]
    started = time.perf_counter()
    rows = [row for index in todo for row in range(index * SHARD, min((index + 1) * SHARD, len(split)))]
    pending: list[FloatArray] = []
    unfinished = iter(todo)
    for values in in_batches(split, rows, backbone, batch_size, device):
        pending.append(values)
        # Shards are cut from the stream of rows, so the batches need not end where the shards do.
        while pending and sum(map(len, pending)) >= SHARD:
            joined = np.concatenate(pending)
            _save(shards[next(unfinished)], joined[:SHARD])
            pending = [joined[SHARD:]] if len(joined) > SHARD else []
    if pending:
        _save(shards[next(unfinished)], np.concatenate(pending))
    seconds = time.perf_counter() - started
    with atomic_path(path) as temporary:
        joined = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=np.float32, shape=(len(split), backbone.dimensions)
        )
        for index, shard in enumerate(shards):
            joined[index * SHARD : (index + 1) * SHARD] = np.load(shard, allow_pickle=False)
        joined.flush()
    if rows:
        record = {"images": len(rows), "seconds": seconds, "images_per_second": len(rows) / seconds}
        write_atomic(path.with_suffix(".json"), canonical_json(record))
    for shard in shards:
        shard.unlink(missing_ok=True)


def _is_shard(path: Path, backbone: Backbone) -> bool:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return False
    return bool(values.ndim == 2 and values.shape[1] == backbone.dimensions)


def _save(path: Path, values: FloatArray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def in_batches(
    split: Split, rows: list[int], backbone: Backbone, batch_size: int, device: str = "cpu"
) -> Iterator[FloatArray]:
    """Yield the features of ``rows``, a batch at a time, while threads read and preprocess the next batch."""
    module = backbone.module.to(device).eval()
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    loaded = load(split.images, batches, backbone.preprocessing)
    for pixels in progress_bar(
        loaded, f"features of {split.dataset}/{split.name}", total=len(batches), scale=batch_size
    ):
        padding = np.zeros((batch_size - len(pixels), *pixels.shape[1:]), dtype=np.float32)
        padded = np.concatenate([pixels, padding]) if len(padding) else pixels
        yield forward(backbone, padded, device)[: len(pixels)]
    module.to("cpu")


def forward(backbone: Backbone, pixels: FloatArray, device: str = "cpu") -> FloatArray:
    """Return the features of preprocessed ``pixels``; the backbone's module is on ``device`` already.

    Raises ``ModelError`` for features of another shape than declared, or that are not finite.
    """
    import torch

    with torch.inference_mode():
        tensor = backbone.module(torch.from_numpy(pixels).to(device))
        values: FloatArray = tensor.to("cpu", torch.float32).numpy()
    if values.shape != (len(pixels), backbone.dimensions):
        raise ModelError(
            f"backbone '{backbone.name}' gave features of shape {values.shape}, declared: {backbone.dimensions} each"
        )
    if not np.isfinite(values).all():
        raise ModelError(
            f"backbone '{backbone.name}' gave features that are not finite. Are the weights the right ones?"
        )
    return values
