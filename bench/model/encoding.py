"""Images through a frozen backbone: read, preprocessed and computed by several threads, and given back in order."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.contracts import Backbone
from bench.data.loading import load, read_batch
from bench.errors import ModelError, PluginError
from bench.model import on_gpu
from bench.model.engine import (
    difference,
    forward,
    has_onnx_form,
    open_engine,
    open_on_gpu,
    rows_at_once,
    tolerance,
    works_alone,
)
from bench.records import FloatArray, Split
from bench.system.progress import progress_bar
from bench.system.threads import in_threads, thread_counts, torch_threads

ALONE = 1e-3
"""Largest difference of an image's features beside another image, relative to the largest."""

Compute = Callable[[FloatArray], FloatArray]


@dataclass(slots=True)
class Work:
    """Seconds of all threads together for reading and for the network, and how far the features are from torch's."""

    reading: float = 0.0
    network: float = 0.0
    difference: float = 0.0
    _adding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add the seconds of the body to ``name``."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        with self._adding:
            setattr(self, name, getattr(self, name) + seconds)

    def timed(self, name: str, items: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Yield ``items``, adding the seconds until each is there to ``name``."""
        iterator = iter(items)
        while True:
            with self.of(name):
                item = next(iterator, None)
            if item is None:
                return
            yield item


def in_batches(
    split: Split,
    rows: Sequence[int],
    backbone: Backbone,
    batch_size: int,
    device: str = "cpu",
    *,
    cache: Path,
    work: Work | None = None,
) -> Iterator[FloatArray]:
    """Yield the features of ``rows`` in order, some at a time.

    ``cache`` keeps the backbone's ONNX form. ``batch_size`` is torch's, and a GPU's. ``work`` is told what was done;
    with it, the first two images are looked at again: see ``check_rows_alone``, and by how much an ONNX engine's
    features differ from torch's. Raises ``ModelError`` where that is more than the engine's ``tolerance``.
    """
    whole = works_alone(backbone, device)
    size, told = rows_at_once(backbone, device, batch_size), work or Work()
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    gpu = None if device == "cpu" else open_on_gpu(backbone, device, cache)
    compute = gpu.compute if gpu else open_engine(backbone, device, cache)

    def padded(pixels: FloatArray) -> FloatArray:
        padding = np.zeros((size - len(pixels), *pixels.shape[1:]), dtype=np.float32)
        return np.concatenate([pixels, padding]) if len(padding) else pixels

    def encode(pixels: FloatArray) -> FloatArray:
        with told.of("network"):
            return compute(padded(pixels))[: len(pixels)]

    def read_and_encode(batch: Sequence[int]) -> FloatArray:
        with told.of("reading"):
            pixels = read_batch(split.images, batch, backbone.preprocessing)
        return encode(pixels)

    def ahead(start: on_gpu.Start) -> Iterator[FloatArray]:
        loaded = told.timed("reading", load(split.images, batches, backbone.preprocessing, on_gpu.pinned))

        def begin(pixels: FloatArray) -> on_gpu.Finish:
            with told.of("network"):
                finish, images = start(padded(pixels)), len(pixels)

            def end() -> FloatArray:
                with told.of("network"):
                    return finish()[:images]

            return end

        return on_gpu.one_ahead(map(begin, loaded))

    with _on(backbone, device), torch_threads(1 if whole else None):
        if work and rows:
            pixels = next(load(split.images, [rows[:2]], backbone.preprocessing))
            _check(backbone, compute, np.resize(pixels, (2, *pixels.shape[1:])), device, work)
        if gpu:
            encoded = ahead(gpu.start)
        elif whole:
            # A thread does all of a batch, network included: none waits for another, and no core for a thread.
            encoded = in_threads(read_and_encode, batches, thread_counts()["cores"])
        else:
            loaded = told.timed("reading", load(split.images, batches, backbone.preprocessing))
            encoded = map(encode, loaded)
        yield from progress_bar(encoded, f"features of {split.dataset}/{split.name}", total=len(rows), scale=size)


def check_rows_alone(compute: Compute, pixels: FloatArray) -> None:
    """Raise ``PluginError`` where an image's features depend on the other image of its batch, or on chance.

    ``pixels`` are two preprocessed images.
    """
    beside, again = compute(pixels)[0], compute(pixels)[0]
    alone = compute(np.stack([pixels[0], np.zeros_like(pixels[0])]))[0]
    for other, why in ((again, "change when it is asked again"), (alone, "depend on the other images of its batch")):
        apart = difference(other, beside)
        if apart > ALONE:
            raise PluginError(
                f"features of an image {why}: by {apart:.1e} of the largest, allowed: {ALONE:g}."
                " Is something in train mode, or the input changed in place?"
            )


def _check(backbone: Backbone, compute: Compute, pixels: FloatArray, device: str, work: Work) -> None:
    check_rows_alone(compute, pixels)
    if has_onnx_form(backbone):
        work.difference = difference(compute(pixels), forward(backbone, pixels, device))
        if not work.difference <= tolerance(backbone):
            raise ModelError(
                f"features of engine {backbone.engine} differ from torch's by {work.difference:.1e} of the largest,"
                f" allowed: {tolerance(backbone):g}. Try: --engine torch"
            )


@contextlib.contextmanager
def _on(backbone: Backbone, device: str) -> Iterator[None]:
    backbone.module.to(device).eval()
    try:
        yield
    finally:
        backbone.module.to("cpu")
