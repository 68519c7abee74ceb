"""Pictures of a split as a backbone's batches, read and preprocessed by threads while the last batch is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from bench.data.preprocess import preprocess
from bench.records import FloatArray, Images, Preprocessing
from bench.system.threads import thread_counts


def load(
    images: Images,
    batches: Sequence[Sequence[int]],
    preprocessing: Preprocessing,
    memory: Callable[[tuple[int, ...]], FloatArray] | None = None,
) -> Iterator[FloatArray]:
    """Yield the pictures of each of ``batches``, rows of ``images``, as (rows, 3, size, size) float32.

    ``memory`` returns what they are put into, an array of a shape, where that must be memory that a GPU fetches from.

    Pillow and NumPy let other threads run while they decode, resize and scale, so there is a thread for each core.
    A batch is overwritten once the next but one is asked for. Raises ``DataError`` for the first picture of a batch
    that cannot be read.
    """
    shape = (max(map(len, batches), default=0), 3, preprocessing.size, preprocessing.size)
    # One batch is filled while the other is in use; fresh memory for each would cost a page fault every 4 KiB.
    buffers = [memory(shape) if memory else np.empty(shape, dtype=np.float32) for _ in range(min(len(batches), 2))]
    pool = ThreadPoolExecutor(thread_counts()["cores"])

    def start(number: int) -> list[Future[FloatArray]]:
        return [
            pool.submit(_read, images, row, preprocessing, buffers[number % 2][place])
            for place, row in enumerate(batches[number])
        ]

    try:
        following = start(0) if batches else []
        for number, batch in enumerate(batches):
            current, following = following, start(number + 1) if number + 1 < len(batches) else []
            for image in current:
                image.result()
            yield buffers[number % 2][: len(batch)]
    finally:
        pool.shutdown(cancel_futures=True)


def _read(images: Images, row: int, preprocessing: Preprocessing, out: FloatArray) -> FloatArray:
    return preprocess(images.picture(row), preprocessing, out)


def read_batch(images: Images, batch: Sequence[int], preprocessing: Preprocessing) -> FloatArray:
    """Return the pictures of ``batch``, rows of ``images``, as (rows, 3, size, size) float32, read by this thread.

    Raises ``DataError`` for the first that cannot be read.
    """
    pixels = np.empty((len(batch), 3, preprocessing.size, preprocessing.size), dtype=np.float32)
    for row, out in zip(batch, pixels, strict=True):
        _read(images, row, preprocessing, out)
    return pixels
