"""Labels of pictures from anywhere, one after another in bounded memory; an unreadable one is told, not raised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.pictures import shown
from bench.data.preprocess import preprocess
from bench.data.sources import Source
from bench.errors import DataError, UsageError
from bench.exported.engine import Encoder
from bench.exported.predict import MOST_WORKERS, Answers, Labelled, Predictor
from bench.records import FloatArray, Preprocessing
from bench.system.threads import in_threads

MOST_BYTES = 16 * 2**20
"""A batch ends early where the pictures' contents, out of a packed archive, are larger."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An image that could not be read, and why."""

    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which labels are asked for: ``top_k`` best ones, those of at least ``threshold``, or both; neither: label sets.

    ``threshold`` is of probabilities, or of scores where they are margins.
    Raises ``UsageError`` for a ``top_k`` below 1 or a threshold that is no number.
    """

    top_k: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"--top-k: found {self.top_k}, allowed: whole numbers from 1")
        if self.threshold is not None and np.isnan(self.threshold):
            raise UsageError("--threshold: found nan, allowed: numbers")

    @property
    def of_scores(self) -> bool:
        """Return whether labels are chosen by scores in place of the model's own label sets."""
        return self.top_k is not None or self.threshold is not None

    def labels(self, ranked: NDArray[np.int64], scores: FloatArray, likely: NDArray[Any] | None) -> list[int]:
        """Return the labels of one image that are asked for, in the order ``ranked`` (labels,), best first.

        ``likely`` are its ``scores`` (labels,) as probabilities.
        """
        # Of all at once: numbers in single precision reach 0.7 where theirs is next to it, in any NumPy.
        reached = (scores if likely is None else likely) >= (-np.inf if self.threshold is None else self.threshold)
        return [label for label in ranked[: self.top_k].tolist() if reached[label]]


LABEL_SETS = Choice()


class _Read(NamedTuple):
    """A picture as the network takes it, (3, size, size), or ``reason`` in its place."""

    image: str
    pixels: FloatArray | None
    reason: str


class _Encoded(NamedTuple):
    """Names and reasons of some images, ``None`` of those that could be read, and the encoder's outputs of these."""

    images: list[tuple[str, str | None]]
    outputs: list[FloatArray]


def label(predictor: Predictor, pictures: Iterable[Source], choice: Choice = LABEL_SETS) -> Iterator[Labelled | Unread]:
    """Yield what ``predictor`` says of each of ``pictures``, in their order, whichever thread is done first.

    At most two batches for each thread are in memory. Raises ``ModelError`` as a ``Predictor`` does.
    """
    for images, outputs in _encoded(predictor, pictures):
        answers = predictor.answer(outputs) if outputs else None
        row = 0
        for image, reason in images:
            if reason is not None:
                yield Unread(image, reason)
            elif answers is not None:
                yield predictor.labelled(image, answers, row, _chosen(predictor, answers, row, choice))
                row += 1


def _chosen(predictor: Predictor, answers: Answers, row: int, choice: Choice) -> Sequence[int]:
    """Return the labels of image ``row`` that are asked for."""
    if not choice.of_scores:
        return answers.chosen[row]
    scores = answers.scores[row]
    return choice.labels(predictor.ranked(scores[None])[0], scores, predictor.probabilities(scores))


def _encoded(predictor: Predictor, pictures: Iterable[Source]) -> Iterator[_Encoded]:
    """Yield the encoder's outputs of ``pictures``, batch after batch."""
    scaling, threads, size = predictor.description.preprocessing, predictor.threads, predictor.encoder.rows
    batches = _batches(pictures, size)
    first = list(islice(batches, 2 * threads))
    everything = chain(first, batches)
    if predictor.encoder.device == "cpu" and 1 < threads <= MOST_WORKERS and len(first) == 2 * threads:
        # A thread that reads, scales and computes a batch alone waits for no other, as two of one product would.
        encoder = predictor.encoder_of_one_thread()
        yield from in_threads(
            lambda batch: _encode(encoder, [_read(source, scaling) for source in batch]), everything, threads
        )
        return
    each = in_threads(lambda source: _read(source, scaling), chain.from_iterable(everything), threads)
    while read := list(islice(each, size)):
        yield _encode(predictor.encoder, read)


def _encode(encoder: Encoder, read: list[_Read]) -> _Encoded:
    """Return the outputs of those that could be read; their pixels are let go."""
    pixels = [one.pixels for one in read if one.pixels is not None]
    images = [(one.image, one.reason if one.pixels is None else None) for one in read]
    return _Encoded(images, encoder.encode(np.stack(pixels)) if pixels else [])


def _batches(pictures: Iterable[Source], size: int) -> Iterator[list[Source]]:
    """Yield ``pictures`` by ``size``, or fewer where their contents are large."""
    batch, held = list[Source](), 0
    for source in pictures:
        batch.append(source)
        held += len(source.content or b"")
        if len(batch) == size or held > MOST_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _read(source: Source, scaling: Preprocessing) -> _Read:
    """Return the picture of ``source``, scaled; or the reason without the name, which stands beside it."""
    try:
        return _Read(source.name, preprocess(source.picture(), scaling), "")
    except DataError as error:
        return _Read(source.name, None, str(error).removeprefix(f"cannot read image {shown(source.name)}: "))
