"""From features to scores and label sets: by the protocol's policy, or by the model's own search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.decode.decoder import decode
from bench.evaluation import protocols
from bench.evaluation.metrics import class_counts
from bench.evaluation.protocols import Protocol
from bench.model import networks, train
from bench.records import Features, Prediction, Scores, SearchOptions, Split


def predict(model: Any, features: Features, protocol: Protocol, search: SearchOptions | None) -> Prediction:
    """Return what ``model`` says of the images.

    ``search`` is how a sequence model searches, ``None`` for a score model. Raises ``ModelError`` where its scores are
    not finite.
    """
    if search is None:
        scores = Scores(features.ids, train.scores(model, features), model.score_kind)
        return Prediction(scores, protocols.label_sets(protocol, scores))
    terms, start_states = networks.image_terms(model, features)
    decoded = decode(networks.TorchStepNetwork(model), terms, start_states, features.ids, search)
    predicted = protocols.label_sets(protocol, decoded.class_scores, decoded.label_sets)
    return Prediction(decoded.class_scores, predicted, decoded.label_sets, decoded.statistics)


def validator(
    split: Split, features: Features, protocol: Protocol, search: SearchOptions | None
) -> Callable[[Any], float]:
    """Return the score that training maximises: O-F1 on the validation part, decoded as the test part will be.

    Pairs that the protocol leaves out of the reported metric are left out here.
    """
    ignore = protocols.left_out(protocol, split.ignore)

    def validate(model: Any) -> float:
        counts = class_counts(split.truth, predict(model, features, protocol, search).predicted, ignore)
        # O-F1 = 2 TP / (predicted + true), which is the harmonic mean of O-P and O-R.
        hits = 2.0 * int(counts.true_positives.sum())
        return hits / max(int(counts.predicted.sum()) + int(counts.positives.sum()), 1)

    return validate
