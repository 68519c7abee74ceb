"""From features to scores and label sets: by the protocol's policy, the model's own, or its search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import Protocol, StepNetwork, Validation
from bench.decode.decoder import CHUNK, PrefixTree, decode, joined, sequences_alone
from bench.evaluation import known_tags, metric_table, protocols
from bench.evaluation.bits import Mask, row_blocks
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.metrics import Counts, class_counts
from bench.model import networks
from bench.records import BoolArray, Features, FloatArray, Prediction, Scores, SearchOptions, Split
from bench.system.room import room_for

PORTION = 8 * CHUNK
"""Most images that are searched before their class scores are put where all lie."""


def predict(
    model: Any,
    features: Features,
    protocol: Protocol,
    search: SearchOptions | None,
    known: BoolArray | None = None,
    *,
    room: Path | None = None,
) -> Prediction:
    """Return what ``model`` says of the images.

    ``search`` is how a sequence model searches, ``None`` for any other. ``known`` (images, labels) is what a model of
    known tags is told, and stands in no label set. Large scores lie in a file in the folder ``room``, mapped; without
    it, in memory. Raises ``ModelError`` where its scores are not finite.
    """
    if search is None:
        values, own = networks.scores_and_sets(model, features.values, known, room)
        scores = Scores(features.ids, values, model.score_kind)
        predicted = protocols.packed_from_scores(protocol, scores, known).unpacked(room) if own is None else own
        return Prediction(scores, known_tags.without(predicted, known))
    parts = (
        decode(network, terms, start_states, some.ids, search, tree=tree)
        for some, network, terms, start_states, tree in _searchable(model, features)
    )
    decoded = joined(parts, len(features.ids), room)
    sets, labels = protocols.cut(protocol, decoded.label_sets), decoded.class_scores.values.shape[1]
    predicted = room_for((len(sets.ids), labels), np.bool_, room)
    for rows in row_blocks(*predicted.shape):
        predicted[rows] = sets.as_matrix(labels, rows)
    return Prediction(decoded.class_scores, predicted, decoded.label_sets, decoded.statistics)


def _label_sets(
    model: Any, features: Features, protocol: Protocol, search: SearchOptions | None, known: BoolArray | None
) -> Mask:
    """Return the label sets of ``predict`` alone; of a sequence model without the class scores, which take longest."""
    if search is None:
        return predict(model, features, protocol, search, known).predicted
    found = []
    for some, network, terms, start_states, tree in _searchable(model, features):
        alone = sequences_alone(network, terms, start_states, some.ids, search, tree=tree)
        sequences = protocols.cut(protocol, alone)
        found.append(sequences.as_matrix(len(network.output) - 1))
    return np.concatenate(found)


def _searchable(
    model: Any, features: Features
) -> Iterator[tuple[Features, StepNetwork, FloatArray, FloatArray, PrefixTree | None]]:
    """Yield the images searched at once, with what the searches take of them and the tree that they share.

    What every step sees of an image may be a whole map, so few are in memory then, and no prefix is shared.
    """
    every_step = networks.sees_every_step(model)
    size = networks.IMAGE_ROWS if every_step else PORTION
    tree: PrefixTree | None = None
    for start in range(0, len(features.ids), size):
        some = Features(features.ids[start : start + size], features.values[start : start + size], features.key)
        network, terms, starts = networks.searchable(model, some)
        if not every_step:
            # An empty tree is false, so it must be compared with None.
            tree = PrefixTree(network, starts.shape[1]) if tree is None else tree
        yield some, network if tree is None else tree.network, terms, starts, tree


def validation_part(  # noqa: PLR0917 - in the order of ``validator``
    split: Split,
    features: Features,
    protocol: Protocol,
    search: SearchOptions | None,
    select_by: str = "O-F1",
    known: BoolArray | None = None,
) -> Validation:
    """Return what a model may know of the validation part, ``split``, whose images have ``features``."""
    score = validator(split, features, protocol, search, select_by, known)
    ignore = None if protocols.left_out(protocol, split.ignore) is None else split.ignore
    return Validation(features.values, split.truth, ignore, score, known)


def validator(  # noqa: PLR0917 - as ``predict``, then what is chosen by
    split: Split,
    features: Features,
    protocol: Protocol,
    search: SearchOptions | None,
    select_by: str = "O-F1",
    known: BoolArray | None = None,
) -> Callable[[Any], float]:
    """Return the score that training maximises: a metric of the validation part, decoded as the test part will be.

    ``select_by`` is the metric's name, one of ``SELECTING``. Pairs that the protocol leaves out of the reported metric
    are left out here. An undefined value is 0.
    """
    truth, ignore = protocols.counted(protocol, split.truth, split.ignore, known)

    def validate(model: Any) -> float:
        if select_by == "O-F1":
            return _overall_f1(class_counts(truth, _label_sets(model, features, protocol, search, known), ignore))
        return judged(predict(model, features, protocol, search, known), split, protocol, select_by, known)

    return validate


def judged(
    prediction: Prediction, split: Split, protocol: Protocol, select_by: str, known: BoolArray | None = None
) -> float:
    """Return the metric ``select_by`` of what was predicted for the images of ``split``. An undefined value is 0."""
    truth, ignore = protocols.counted(protocol, split.truth, split.ignore, known)
    evaluation = Evaluation(
        protocol,
        split.labels,
        truth,
        ignore,
        prediction.predicted,
        prediction.scores,
        prediction.label_sets,
    )
    score = metric_table.by_name()[select_by].function(evaluation)
    return 0.0 if math.isnan(score) else float(score)


def _overall_f1(counts: Counts) -> float:
    """Return 2 TP / (predicted + true): the harmonic mean of O-P and O-R in one rounding, defined without positives."""
    return 2.0 * int(counts.true_positives.sum()) / max(int(counts.predicted.sum()) + int(counts.positives.sum()), 1)
