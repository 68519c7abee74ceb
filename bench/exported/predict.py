"""Label sets of images from an exported model, with ONNX Runtime, NumPy and Pillow alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.images import FolderImages
from bench.data.loading import load
from bench.decode.decoder import Decoder, PrefixTree
from bench.errors import ModelError
from bench.exported.engine import Encoder, OnnxStepNetwork, choose_device
from bench.records import FloatArray, Images


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of one image, best or first emitted first, with their scores; ``log_probability`` of a sequence."""

    image: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    log_probability: float | None


class Predictor:
    """An exported model. ``device`` is ``auto``, ``cpu`` or ``cuda``; ``threads`` 0 takes every core.

    Raises ``ModelError`` where a file of the folder is absent, damaged, foreign or from a newer version, and
    ``NotRun`` where the device is not there.
    """

    def __init__(self, folder: Path, device: str = "cpu", threads: int = 0, batch: int = 16) -> None:
        device = choose_device(device)
        self.encoder = Encoder(folder, device, threads, batch)
        self.description = self.encoder.description
        self.decoder: Decoder | None = None
        if self.description.kind == "sequence":
            if self.description.search is None or self.description.sees_image:
                raise ModelError(f"{folder}: a sequence model whose memory sees the image cannot be predicted with yet")
            network = OnnxStepNetwork(folder, self.description, device, threads)
            tree = PrefixTree(network, network.start_states.shape[1])
            if network.known:
                tree.add(network.known)
            self.decoder = Decoder(network, network.start_states, self.description.search, threads=threads, tree=tree)

    def predict(self, paths: Sequence[Path]) -> Iterator[Labelled]:
        """Yield the labels of each image file, in order. Raises ``DataError`` with the path of an unreadable one."""
        yield from self.predict_images(FolderImages(tuple(paths)), [str(path) for path in paths])

    def predict_images(self, images: Images, names: Sequence[str]) -> Iterator[Labelled]:
        """Yield the labels of each of ``images``, in order, by its name. Raises ``DataError`` for an unreadable one."""
        size = self.encoder.rows
        batches = [range(start, min(start + size, len(images))) for start in range(0, len(images), size)]
        for batch, pixels in zip(batches, load(images, batches, self.description.preprocessing), strict=True):
            yield from self.label([names[row] for row in batch], self.encoder(pixels))

    def label(self, names: Sequence[str], encoded: FloatArray) -> list[Labelled]:
        """Return the labels of images by what the encoder gave for them."""
        if self.decoder is None:
            return [self._best(name, row) for name, row in zip(names, encoded, strict=True)]
        answers, _ = self.decoder.answers(encoded, self.decoder.start_states)
        results = []
        for row, name in enumerate(names):
            # A repeated label is one label, and counts where it was first emitted.
            emitted = list(dict.fromkeys(int(label) for label in answers["sequences"][row] if label >= 0))
            scores = answers["class_scores"][row]
            probability = float(answers["log_probabilities"][row])
            results.append(self._labelled(name, emitted, scores, probability))
        return results

    def _best(self, name: str, scores: FloatArray) -> Labelled:
        # A stable sort of the negated scores: ties go to the lower label index, as everywhere.
        best = np.argsort(-scores, kind="stable")[: self.description.k]
        return self._labelled(name, [int(label) for label in best], scores, None)

    def _labelled(self, name: str, chosen: list[int], scores: FloatArray, log_probability: float | None) -> Labelled:
        labels = self.description.labels
        return Labelled(
            name, tuple(labels[c] for c in chosen), tuple(float(scores[c]) for c in chosen), log_probability
        )
