"""From features to scores and label sets: by the protocol's policy, the model's own, or its search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.contracts import Protocol, Validation
from bench.decode.decoder import decode, joined, sequences_alone
from bench.evaluation import known_tags, metric_table, protocols
from bench.evaluation.bits import Mask
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.metrics import Counts, class_counts
from bench.model import networks
from bench.records import BoolArray, Features, Prediction, Scores, SearchOptions, Split


def predict(
    model: Any,
    features: Features,
    protocol: Protocol,
    search: SearchOptions | None,
    known: BoolArray | None = None,
) -> Prediction:
    """Return what ``model`` says of the images.

    ``search`` is how a sequence model searches, ``None`` for any other. ``known`` (images, labels) is what a model of
    known tags is told, and stands in no label set. Raises ``ModelError`` where its scores are
    not finite.
    """
    if search is None:
        values, own = networks.scores_and_sets(model, features.values, known)
        scores = Scores(features.ids, values, model.score_kind)
        predicted = protocols.packed_from_scores(protocol, scores, known)[:] if own is None else own
        return Prediction(scores, known_tags.without(predicted, known))
    parts = []
    for some in _portions(model, features):
        network, terms, start_states = networks.searchable(model, some)
        parts.append(decode(network, terms, start_states, some.ids, search))
    decoded = joined(parts)
    predicted = protocols.label_sets(protocol, decoded.class_scores, decoded.label_sets)
    return Prediction(decoded.class_scores, predicted, decoded.label_sets, decoded.statistics)


def _label_sets(
    model: Any, features: Features, protocol: Protocol, search: SearchOptions | None, known: BoolArray | None
) -> Mask:
    """Return the label sets of ``predict`` alone; of a sequence model without the class scores, which take longest."""
    if search is None:
        return predict(model, features, protocol, search, known).predicted
    found = []
    for some in _portions(model, features):
        network, terms, start_states = networks.searchable(model, some)
        sequences = protocols.cut(protocol, sequences_alone(network, terms, start_states, some.ids, search))
        found.append(sequences.as_matrix(len(network.output) - 1))
    return np.concatenate(found)


def _portions(model: Any, features: Features) -> Iterator[Features]:
    """Yield the images searched at once: what every step sees of one may be a whole map, so few are in memory then."""
    size = networks.IMAGE_ROWS if networks.sees_every_step(model) else max(len(features.ids), 1)
    for start in range(0, len(features.ids), size):
        yield Features(features.ids[start : start + size], features.values[start : start + size], features.key)


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
        prediction = predict(model, features, protocol, search, known)
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

    return validate


def _overall_f1(counts: Counts) -> float:
    """Return 2 TP / (predicted + true): the harmonic mean of O-P and O-R in one rounding, defined without positives."""
    return 2.0 * int(counts.true_positives.sum()) / max(int(counts.predicted.sum()) + int(counts.positives.sum()), 1)
