"""Label sets of images from an exported model, with ONNX Runtime, NumPy and Pillow alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.images import FolderImages
from bench.data.loading import load, read_batch
from bench.decode.annotated import SeeingImages, numbered
from bench.decode.decoder import Decoder, PrefixTree
from bench.errors import ModelError
from bench.evaluation.calibration import sigmoid
from bench.exported.engine import Encoder, OnnxStepNetwork
from bench.exported.manifest import Manifest, open_whole
from bench.exported.policy import calibrated_by, reader
from bench.onnx.sessions import choose_device
from bench.records import FloatArray, Images, IntArray, ScoreKind
from bench.system.threads import in_threads, thread_counts

MOST_WORKERS = 8
"""Up to so many threads take a batch each, from its files to its scores; more would hold too many in memory."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of one image, best or first emitted first, with their scores; ``log_probability`` of a sequence.

    ``probabilities`` are the scores as such, ``None`` where they are margins, and calibrated ones where the
    policy calibrates.
    """

    image: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    log_probability: float | None
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of n images: ``scores`` (n, labels), and ``chosen``, label numbers best or first emitted first.

    ``sequences`` (n, longest) padded with -1, ``log_probabilities`` (n,) and ``complete`` (n,) are as in
    ``bench.LabelSets``; ``None`` of a score model.
    """

    scores: FloatArray
    chosen: tuple[tuple[int, ...], ...]
    sequences: IntArray | None = None
    log_probabilities: NDArray[np.float64] | None = None
    complete: NDArray[np.bool_] | None = None


def probabilities(scores: FloatArray, kind: ScoreKind) -> NDArray[np.float64] | None:
    """Return scores as probabilities; ``None`` for margins, which are none.

    >>> probabilities(np.array([0.0]), "logit")
    array([0.5])
    """
    values = scores.astype(np.float64)
    if kind == "logit":
        return sigmoid(values)
    if kind == "log_probability":
        return np.asarray(np.exp(values))
    return None if kind == "margin" else values


class Predictor:
    """An exported model, which several threads may use at once.

    ``device`` is ``auto``, ``cpu`` or ``cuda``; ``threads`` 0 takes every core. Of many images on a CPU, up to
    ``MOST_WORKERS`` threads take a batch each, from files to scores; otherwise threads read the next batch while all of
    them compute this one.

    Raises ``ModelError`` where a file of the folder is absent, not the one that was exported, foreign or from another
    version, and ``NotRun`` where the device is not there.
    """

    def __init__(self, folder: Path, device: str = "cpu", threads: int = 0, batch: int = 16) -> None:
        device = choose_device(device)
        manifest = open_whole(folder)
        self._folder, self._seal = folder, manifest.seal
        self.threads = threads or thread_counts()["cores"]
        self._alone: Encoder | None = None
        self._opening, self._searching = Lock(), Lock()
        self.encoder = Encoder(folder, device, threads, batch)
        self.description = self.encoder.description
        if self.description != manifest.description:
            raise ModelError(f"{folder}: its files and its manifest tell of different models. Try: export again")
        policy = self.description.policy
        self._read = reader(policy, self.description.k, self.description.threshold) if policy else None
        self._calibrate = calibrated_by(policy, self.description.score_kind)
        self.decoder: Decoder | None = None
        if self.description.search is not None:
            network = self._network = OnnxStepNetwork(folder, self.description, device, threads)
            try:
                tree = PrefixTree(network, network.start_states.shape[1])
                if network.known:
                    tree.add(network.known)
                options = self.description.search
                self.decoder = Decoder(network, network.start_states, options, threads=threads, tree=tree)
            except (ValueError, TypeError, OverflowError) as error:
                raise ModelError(f"{folder}: its decoder does not fit: {error}. Try: export again") from error
        self._require_the_same(open_whole(folder))  # every file, as a copy replaces one after another

    def predict(self, paths: Sequence[Path]) -> Iterator[Labelled]:
        """Yield the labels of each image file, in order. Raises ``DataError`` with the path of an unreadable one."""
        yield from self.predict_images(FolderImages(tuple(paths)), [str(path) for path in paths])

    def predict_images(self, images: Images, names: Sequence[str]) -> Iterator[Labelled]:
        """Yield the labels of each of ``images``, in order, by its name. Raises ``DataError`` for an unreadable one."""
        remaining = iter(names)
        for answers in self.answers(images):
            for row, chosen in enumerate(answers.chosen):
                yield self.labelled(next(remaining), answers, row, chosen)

    def labelled(self, name: str, answers: Answers, row: int, chosen: Sequence[int]) -> Labelled:
        """Return labels ``chosen`` of image ``row`` of ``answers``, with their scores."""
        scores, log_probabilities = answers.scores[row], answers.log_probabilities
        likely = self.probabilities(scores)
        return Labelled(
            name,
            tuple(self.description.labels[label] for label in chosen),
            tuple(float(scores[label]) for label in chosen),
            None if log_probabilities is None else float(log_probabilities[row]),
            None if likely is None else tuple(float(likely[label]) for label in chosen),
        )

    def probabilities(self, scores: FloatArray) -> NDArray[Any] | None:
        """Return the scores (labels,) of one image as probabilities, calibrated where they were; ``None``: margins."""
        if self._calibrate is not None:
            return np.asarray(self._calibrate(scores[None])[0])
        return probabilities(scores, self.description.score_kind)

    def ranked(self, scores: FloatArray) -> NDArray[np.int64]:
        """Return the labels of each image by its scores (n, labels), best first, (n, labels).

        By calibrated probabilities, where there are some: a calibration of each label alone may rank them otherwise.
        """
        return best_first(scores, None if self._calibrate is None else self._calibrate(scores))

    def answers(self, images: Images) -> Iterator[Answers]:
        """Yield what the model says of ``images``, a batch at a time. Raises ``DataError`` for an unreadable one."""
        size = self.encoder.rows
        batches = [range(start, min(start + size, len(images))) for start in range(0, len(images), size)]
        threads = self.threads
        if self.encoder.device == "cpu" and 1 < threads <= MOST_WORKERS and len(batches) >= 2 * threads:
            # A thread that reads, scales and computes a batch alone waits for no other, as two of one product would.
            encoder = self.encoder_of_one_thread()
            scaling = self.description.preprocessing
            for encoded in in_threads(lambda rows: encoder.encode(read_batch(images, rows, scaling)), batches, threads):
                yield self.answer(encoded)
            return
        for pixels in load(images, batches, self.description.preprocessing):
            yield self.answer(self.encoder.encode(pixels))

    def encoder_of_one_thread(self) -> Encoder:
        """Return the encoder in a session that several threads call at once, opened when it is first asked for."""
        with self._opening:
            if self._alone is None:
                alone = Encoder(self._folder, "cpu", 1, self.encoder.rows)
                # It may be long since the first session was opened.
                self._require_the_same(open_whole(self._folder))
                self._alone = alone
            return self._alone

    def _require_the_same(self, manifest: Manifest) -> None:
        """Raise ``ModelError`` where the folder, which has ``manifest`` now, holds another export than was opened."""
        if manifest.seal != self._seal:
            again = "bench predict, or bench.ExportedModel, again"
            raise ModelError(f"{self._folder} was exported anew since it was opened. Try: {again}")

    def answer(self, encoded: Sequence[FloatArray]) -> Answers:
        """Return what the model says of the images whose encoder's outputs these are.

        Raises ``ModelError`` for scores that are not numbers.
        """
        description = self.description
        if self.decoder is None:
            if np.isnan(encoded[0]).any():
                raise ModelError("the exported model's scores are not numbers. Try: --device cpu, or export as fp32")
            if self._read is not None:
                return Answers(encoded[0], _in_sets(self.ranked(encoded[0]), self._read(encoded[0])))
            if description.kind == "sets" and (description.policy is None or description.policy.name == "own"):
                return Answers(encoded[0], _in_sets(self.ranked(encoded[0]), encoded[1]))
            return Answers(encoded[0], tuple(map(tuple, self.ranked(encoded[0])[:, : description.k].tolist())))
        decoder, starts = self.decoder, encoded[1] if description.sees_image else self.decoder.start_states
        if description.annotations is not None:
            # What its steps see are these images: the search is theirs alone.
            network, starts = SeeingImages(self._network, encoded[2]), numbered(starts)
            decoder = Decoder(network, starts, decoder.options, threads=self.threads)
        # Its tree of prefixes is one for all threads; a search uses every core that it was given anyway.
        with self._searching:
            found: dict[str, Any] = decoder.answers(encoded[0], starts)[0]
        sequences: IntArray = found["sequences"]
        if self._read is not None:
            scores = found["class_scores"]
            chosen = _in_sets(self.ranked(scores), self._read(scores))
            return Answers(scores, chosen, sequences, found["log_probabilities"], found["complete"])
        counted = sequences[:, : description.k] if description.cut_to_k else sequences
        # A repeated label is one label, and counts where it was first emitted.
        chosen = tuple(tuple(dict.fromkeys(label for label in row if label >= 0)) for row in counted.tolist())
        return Answers(found["class_scores"], chosen, sequences, found["log_probabilities"], found["complete"])


def best_first(scores: FloatArray, calibrated: FloatArray | None = None) -> NDArray[np.int64]:
    """Return the labels of scores (..., labels) by their calibrated probabilities, or else by score, best first.

    Of equal probabilities by score; ties go to the lower label index, as everywhere.

    >>> best_first(np.array([0.2, 0.9, 0.2])), best_first(np.array([0.2, 0.9, 0.3]), np.array([0.5, 0.1, 0.5]))
    (array([1, 0, 2]), array([2, 0, 1]))
    """
    if calibrated is None:
        return np.argsort(-scores, axis=-1, kind="stable")
    return np.lexsort((-scores, -calibrated))


def _in_sets(ranked: NDArray[np.int64], sets: Any) -> tuple[tuple[int, ...], ...]:
    """Return the labels of each image that are in its set, (n, labels) bool, in the order ``ranked`` (n, labels)."""
    pairs = zip(ranked.tolist(), sets, strict=True)
    return tuple(tuple(label for label in row if chosen[label]) for row, chosen in pairs)
