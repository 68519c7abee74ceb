"""An exported folder against the stored run: from image files to scores and label sets, as a user of it gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.splits import subset
from bench.errors import DataError, ModelError
from bench.evaluation.bits import BitMatrix
from bench.evaluation.thresholds import ROUNDING
from bench.exported.manifest import Check
from bench.exported.model_folder import PIXELS, Description
from bench.exported.predict import Answers, Predictor
from bench.exported.programs import PROGRAM, program_of, reason_not_carried
from bench.model.engine import HALF
from bench.onnx.sessions import open_session
from bench.records import BoolArray, FloatArray, Images, IntArray, Split
from bench.store.run_folder import RunFolder

TOLERANCE = {"fp32": ROUNDING, "fp16": 5e-2}
"""Largest difference of a score, relative to the largest magnitude of the stored ones.

Seen with MobileNetV2 on photographs: 3e-6 in single precision; in half precision 1.5e-2 of logits, and 2.2e-2 of a
sequence model's probabilities, which a small difference of logits moves further.
"""

TOLERANCE_OF_MAPS = 1e-3
"""The least that is allowed of feature maps: at the border between two numbers of half precision either is right."""

TOLERANCE_OF_CUDA = 1e-2
"""The same where the run was computed by CUDA, whose convolutions round to TF32's 10 bits. An estimate."""

TOLERANCE_OF_PIXELS = 1e-2
"""The least that is allowed of pixels.onnx: from its filters in single precision a pixel may differ by a level."""

TOLERANCE_OF_PIXELS_IN_MAPS = 5e-2
"""The same of feature maps. Of SIFT's, scores of digits enlarged by 2.5 differ by 3e-2, and no label set."""

OTHER_SETS = {"fp32": 0.01, "fp16": 0.15}
"""Largest share of images with another label set; one image is always allowed.

Searches turn at near ties: in half precision 6 % of photographs did, of a sequence model that was hardly trained.
"""

OTHER_SETS_OF_PIXELS = 0.1
"""The same of pixels.onnx, at least."""

MOST_IMAGES = 256
"""Test images compared at the default batch size, evenly over the test part."""

FEW_IMAGES = 22
"""Test images compared at the other batch sizes: not a multiple of them, so that a batch is padded."""

FEW_SEARCHED = 2
"""Test images that ``predict.py`` is compared on where its search is exact, which takes plain Python seconds."""

BATCHES = (1, 2, 7)
DEFAULT_BATCH = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """What a run stored of some of its test images; ``sequences`` and ``log_probabilities`` of a sequence model."""

    images: Images
    scores: FloatArray
    predicted: BoolArray
    sequences: IntArray | None

    def first(self, count: int) -> Stored:
        """Return the same of the first ``count`` images."""
        sequences = None if self.sequences is None else self.sequences[:count]
        return Stored(self.images, self.scores[:count], self.predicted[:count], sequences)


def against_stored(exported: Path, run: RunFolder, test: Split) -> list[Check]:
    """Return how far the model in ``exported`` is from what ``run`` stored of its test part, ``test``.

    Where the images cannot be read, the one check returned says that it was not done.
    Raises ``ModelError`` where ``test`` is not the part that the run stored.
    """
    scores = run.read_scores()
    if scores.ids != test.ids:
        raise ModelError(f"{run.path}: the test images are not those of this run. Try: --data-root DIR")
    rows = np.unique(np.linspace(0, len(test) - 1, min(MOST_IMAGES, len(test))).round().astype(np.int64))
    sequences = run.read_label_sets().sequences[rows] if run.has("label_sets") else None
    chosen = subset(test, rows, test.name)
    predicted = run.read_masks().predicted
    sets = BitMatrix(predicted.bits[rows], predicted.labels)[:]
    stored = Stored(chosen.images, scores.values[rows], sets, sequences)
    few = stored.first(FEW_IMAGES)
    few_images = subset(chosen, np.arange(len(few.scores)), test.name).images
    try:
        checks = []
        for batch, part, images in (
            *((batch, few, few_images) for batch in BATCHES),
            (DEFAULT_BATCH, stored, chosen.images),
        ):
            predictor = Predictor(exported, batch=batch)
            found = list(predictor.answers(images))
            checks += compare("image files", found, part, _limits(predictor.description, run.config), batch)
        answers = from_raw_pixels(exported, predictor, few_images)
        checks += compare(PIXELS, answers, few, _limits(predictor.description, run.config, raw=True), 1)
        return checks + of_program(exported, predictor.description, few, few_images, run.config)
    except DataError as error:
        return [Check("stored scores", "relative", 0.0, None, reason=f"{error}. It needs the images: --data-root DIR")]


def from_raw_pixels(exported: Path, predictor: Predictor, images: Images) -> list[Answers]:
    """Return what pixels.onnx, and the decoder behind it, say of each of ``images``."""
    session = open_session(exported / PIXELS)
    return [predictor.answer(session.run(None, {"image": images.read(row)})) for row in range(len(images))]


def of_program(
    exported: Path, description: Description, few: Stored, images: Images, config: Mapping[str, Any]
) -> list[Check]:
    """Return the checks of the folder's own ``predict.py`` against ``few``, which a run of ``config`` stored."""
    if lacking := reason_not_carried(description):
        return [Check(f"{PROGRAM} = stored label sets", "images", 0.0, None, reason=lacking)]
    exact = description.search is not None and description.search.search == "exact"
    part = few.first(FEW_SEARCHED) if exact else few
    program = program_of(exported)
    model, answers = program["Model"](exported), []
    for row in range(len(part.scores)):
        pixels = program["preprocess"](images.picture(row), model.description["preprocessing"])
        outputs = [output[0] for output in model.encode(pixels[None], 1)]
        chosen, scores, sequence, _ = model.answer(outputs)
        sequences = None if sequence is None else np.array([sequence], dtype=np.int32).reshape(1, -1)
        answers.append(Answers(scores[None], (tuple(chosen),), sequences))
    return compare(PROGRAM, answers, part, _limits(description, config), 1)


def compare(
    what: str, found: Sequence[Answers], stored: Stored, limits: tuple[float, float], batch: int
) -> list[Check]:
    """Return the checks of ``found``, batch after batch, against ``stored``; ``limits`` of scores and of label sets.

    Scores are compared of the images whose label sequence is the stored one: another sequence scores other labels.
    Beyond rounding, votes of near neighbours change places, too: so many images as may have another label set.
    """
    scores = np.concatenate([answers.scores for answers in found])
    predicted = np.zeros_like(stored.predicted)
    for row, chosen in enumerate(labels for answers in found for labels in answers.chosen):
        predicted[row, list(chosen)] = True
    sets = max(limits[1], 1 / len(scores))  # one image may differ, however few there are
    if stored.sequences is None:
        same = _within(scores, stored.scores, limits[0])
        if limits[0] <= TOLERANCE_OF_MAPS or (~same).mean() > sets:
            same[:] = True
        other = ~same | _beyond_a_tie(predicted, stored, limits[0])
    else:
        same = _same_sequences([answers.sequences for answers in found], stored.sequences)
        other = ~same | (predicted != stored.predicted).any(axis=1)
    difference = relative(scores[same], stored.scores[same], _largest(stored.scores))
    return [
        Check(f"{what} = stored scores", "relative", limits[0], difference, int(same.sum()), batch),
        Check(f"{what} = stored label sets", "images", sets, float(other.mean()), len(scores), batch),
    ]


def relative(found: FloatArray, expected: FloatArray, largest: float | None = None) -> float:
    """Return the largest difference relative to ``largest``, or else the largest magnitude of ``expected``.

    Equal infinities differ by nothing.

    >>> relative(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    0.25
    """
    if found.shape != expected.shape:
        return float("inf")
    unequal = found != expected
    difference = np.abs(found[unequal].astype(np.float64) - expected[unequal]).max(initial=0.0)
    return float(difference) / (_largest(expected) if largest is None else largest)


def _limits(description: Description, config: Mapping[str, Any], raw: bool = False) -> tuple[float, float]:
    """Return what is allowed of scores and of label sets: by the export's precision, and by what computed the run."""
    precision = "fp16" if config["backbone"].get("engine") == HALF else description.precision
    scores, sets = TOLERANCE[precision], OTHER_SETS[precision]
    of_pixels = TOLERANCE_OF_PIXELS
    if description.feature_map is not None:
        scores, of_pixels = max(scores, TOLERANCE_OF_MAPS), TOLERANCE_OF_PIXELS_IN_MAPS
    if str(config["device"]).startswith("cuda"):
        scores = max(scores, TOLERANCE_OF_CUDA)
    return (max(scores, of_pixels), max(sets, OTHER_SETS_OF_PIXELS)) if raw else (scores, sets)


def _within(found: FloatArray, stored: FloatArray, limit: float) -> BoolArray:
    """Return which images (n,) have scores within ``limit`` of the stored ones, or none that a tie would explain."""
    largest = _largest(stored)
    return np.array([not limit < relative(*rows, largest) < np.inf for rows in zip(found, stored, strict=True)])


def _same_sequences(found: Sequence[IntArray | None], stored: IntArray) -> BoolArray:
    """Return which images have the stored label sequence, (n,); both are padded with -1, to other lengths perhaps."""
    rows = [row for part in found if part is not None for row in part]
    same = [list(one[one >= 0]) == list(other[other >= 0]) for one, other in zip(rows, stored, strict=True)]
    return np.array(same, dtype=np.bool_)


def _beyond_a_tie(predicted: BoolArray, stored: Stored, tolerance: float) -> BoolArray:
    """Return which images have another label set although their stored scores leave no doubt, (n,)."""
    worst_lost = np.where(stored.predicted & ~predicted, stored.scores, np.inf).min(axis=1)
    best_won = np.where(predicted & ~stored.predicted, stored.scores, -np.inf).max(axis=1)
    with np.errstate(invalid="ignore"):
        gap = worst_lost - best_won
    fewer = predicted.sum(axis=1) != stored.predicted.sum(axis=1)
    unlike: BoolArray = (predicted != stored.predicted).any(axis=1)
    tied: BoolArray = gap <= 2 * tolerance * _largest(stored.scores)
    beyond: BoolArray = unlike & (fewer | ~tied)
    return beyond


def _largest(values: FloatArray) -> float:
    """Return the largest finite magnitude; 1e-6 where there is none."""
    return max(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)), 1e-6)
