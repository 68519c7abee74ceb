"""What the runs of a group say together of each test image: label sets, how sure they are, who is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.evaluation import chances
from bench.evaluation.bits import row_blocks
from bench.evaluation.chances import Chances
from bench.records import BoolArray, FloatArray
from bench.show.tables import Row
from bench.store.run_folder import RunFolder
from bench.store.stored import Truth

JUDGES = 3
"""Rows of highest mAP, whose scores say how sure a mistake is, and which labels of the data set are in doubt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The test part and what is said of it.

    ``predicted`` maps each row, the best first, to its label sets. ``certainty`` (images,) is how sure the ``judges``
    are of the image's worst mistake, on average; ``chances`` (images, labels) their mean chance of each label, ``None``
    where no row has scores that tell images apart.
    """

    truth: Truth
    folders: Mapping[str, RunFolder]
    predicted: Mapping[str, BoolArray]
    judges: tuple[str, ...]
    certainty: FloatArray
    chances: FloatArray | None

    @property
    def ignore(self) -> BoolArray:
        """Return the pairs that count not at all, (images, labels)."""
        return np.zeros_like(self.truth.truth) if self.truth.ignore is None else self.truth.ignore

    def mistakes(self, label: str) -> tuple[BoolArray, BoolArray]:
        """Return the labels that row ``label`` wrongly predicts and those that it misses, (images, labels)."""
        sets, truth = self.predicted[label], self.truth.truth
        return sets & ~truth & ~self.ignore, truth & ~sets


def gathered(rows: Sequence[Row], folders: Mapping[str, RunFolder]) -> Evidence:
    """Return the evidence of ``rows``, the best first, by the first finished run of each."""
    firsts = {row.label: folders[row.label] for row in rows if row.label in folders}
    truth = next(iter(firsts.values())).read_truth()
    predicted = {label: folder.read_predicted() for label, folder in firsts.items()}
    shape = truth.truth.shape
    found = Evidence(truth, firsts, predicted, (), np.zeros(shape[0], dtype=np.float32), None)
    judges: list[str] = []
    certainty, mean = np.zeros(shape[0], dtype=np.float32), np.zeros(shape, dtype=np.float32)
    ranked = {row.label: row.cells["mAP"].mean for row in rows if "mAP" in row.cells}
    for label in sorted(firsts, key=lambda label: -ranked.get(label, 0.0)):
        if len(judges) == JUDGES:
            break
        folder = firsts[label]
        if (read := _chances(folder)) is None:
            continue
        judges.append(label)
        scores, (wrong, missed) = folder.read_scores().values, found.mistakes(label)
        for block in row_blocks(*shape):
            chance = read(np.asarray(scores[block]))
            mean[block] += chance
            certainty[block] += np.where(wrong[block], chance, np.where(missed[block], 1 - chance, 0)).max(axis=1)
    count = np.float32(max(len(judges), 1))
    return Evidence(truth, firsts, predicted, tuple(judges), certainty / count, mean / count if judges else None)


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
