"""What the runs of a group say together of each test image: label sets, how sure they are, who is believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import chances
from bench.evaluation.bits import Mask, row_blocks
from bench.evaluation.chances import Chances
from bench.evaluation.metrics import class_counts
from bench.evaluation.metrics.average_precision import columns
from bench.records import BoolArray, FloatArray
from bench.show.tables import Row
from bench.store.run_folder import RunFolder

JUDGES = 3
"""Rows of highest mAP, whose scores say how sure a mistake is, and which labels of the data set are in doubt."""


@dataclass(frozen=True, slots=True)
class Part:
    """Ids, label names, truth and ignore mask of the test part; masks are (images, labels), bool or packed."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: Mask
    ignore: Mask | None

    @property
    def support(self) -> NDArray[np.int64]:
        """Return how many images hold each label, (labels,)."""
        return class_counts(self.truth, self.truth).positives

    def ignored(self, rows: slice) -> BoolArray:
        """Return the pairs of some images that count not at all, (n, labels)."""
        return np.zeros_like(self.truth[rows]) if self.ignore is None else self.ignore[rows]


def part_of(folder: RunFolder) -> Part:
    """Return the test part that a run has stored."""
    return Part(folder.read_scores().ids, folder.read_masks().labels, *folder.read_counted())


@dataclass(frozen=True, slots=True)
class Judge:
    """A row whose scores, (images, labels), say how sure it is: ``read`` turns them into chances."""

    name: str
    scores: FloatArray
    read: Chances


@dataclass(frozen=True, slots=True)
class Evidence:
    """The test part and what is said of it.

    ``predicted`` maps each row, the best first, to its label sets. ``certainty`` (images,) is how sure the ``judges``
    are of the image's worst mistake, on average; there is none where no row has scores that tell images apart.
    """

    truth: Part
    folders: Mapping[str, RunFolder]
    predicted: Mapping[str, Mask]
    judges: tuple[Judge, ...]
    certainty: FloatArray

    def mistakes(self, label: str, rows: slice) -> tuple[BoolArray, BoolArray]:
        """Return of some images the labels that row ``label`` wrongly predicts, and those that it misses."""
        sets, truth = self.predicted[label][rows], self.truth.truth[rows]
        return sets & ~truth & ~self.truth.ignored(rows), truth & ~sets

    def chances(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.bool_], NDArray[np.floating]]]:
        """Yield of each label the images that count, whether they hold it, and the judges' mean chance that they do."""
        truth, ignore = self.truth.truth, self.truth.ignore
        every = np.arange(truth.shape[0])
        for of_judges in zip(*(columns(truth, judge.scores, ignore) for judge in self.judges), strict=True):
            label, given, _ = of_judges[0]
            mean = np.zeros(len(given), dtype=np.float32)
            for judge, (_, _, scores) in zip(self.judges, of_judges, strict=True):
                mean += judge.read(scores)
            rows = every if ignore is None else np.flatnonzero(~ignore[:, label : label + 1])
            yield label, rows, given, mean / np.float32(len(self.judges))


def gathered(rows: Sequence[Row], folders: Mapping[str, RunFolder]) -> Evidence:
    """Return the evidence of ``rows``, the best first, by the first finished run of each."""
    firsts = {row.label: folders[row.label] for row in rows if row.label in folders}
    truth = part_of(next(iter(firsts.values())))
    predicted = {label: folder.read_masks().predicted for label, folder in firsts.items()}
    shape = truth.truth.shape
    found = Evidence(truth, firsts, predicted, (), np.zeros(shape[0], dtype=np.float32))
    judges: list[Judge] = []
    certainty = np.zeros(shape[0], dtype=np.float32)
    ranked = {row.label: row.cells["mAP"].mean for row in rows if "mAP" in row.cells}
    for label in sorted(firsts, key=lambda label: -ranked.get(label, 0.0)):
        if len(judges) == JUDGES:
            break
        folder = firsts[label]
        if (read := _chances(folder)) is None:
            continue
        judges.append(Judge(label, np.asarray(folder.read_scores().values), read))
        for block in row_blocks(*shape):
            chance, (wrong, missed) = read(judges[-1].scores[block]), found.mistakes(label, block)
            certainty[block] += np.where(wrong, chance, np.where(missed, 1 - chance, 0)).max(axis=1)
    return Evidence(truth, firsts, predicted, tuple(judges), certainty / np.float32(max(len(judges), 1)))


def _chances(folder: RunFolder) -> Chances | None:
    """Return what turns a run's scores into chances: fitted to its validation part where it has one."""
    if not folder.has("validation"):
        kind = folder.read_scores().kind
        return chances.natural(kind)
    part = folder.read_validation()
    left_out = [mask for mask in (part.truth.ignore, part.known) if mask is not None]
    counted = ~np.logical_or.reduce(left_out) if left_out else None
    scores = part.prediction.scores
    return chances.fitted(scores.kind, scores.values, part.truth.truth, counted)
