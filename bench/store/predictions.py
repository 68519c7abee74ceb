"""Whether stored label sets follow from scores or sequences, and scores and sequences can be a model's at all.

Of a sequence model's class scores the folder tells only what their definition implies (``bench.decode.search``): with
``max_over_steps``, for one, no emitted label scores less than the whole sequence's probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import PolicyState, Protocol
from bench.decode.search import FIRST_STEP_WEIGHT
from bench.evaluation import policies, protocols
from bench.evaluation.bits import BitMatrix, Mask, row_blocks
from bench.evaluation.policies import Policy
from bench.records import BoolArray, FloatArray, LabelSets, Scores, SearchOptions
from bench.store.stored import ValidationPart

SLACK = 1e-3
"""Relative rounding allowed between a sequence's log-probability, a float64, and class scores, which are float32."""

TINY = 1e-6
"""The same, absolute: probabilities below it are not told apart."""

UPPER = {"probability": 1.0 + TINY, "log_probability": TINY}
"""Largest score of the kinds that have one."""

LOWER = {"probability": -TINY}
"""The least, likewise."""


def by_policy(
    policy: Policy,
    protocol: Protocol,
    scores: Scores,
    sequences: LabelSets | None,
    predicted: Mask,
    *,
    known: Mask | None = None,
    state: PolicyState | None = None,
) -> list[str]:
    """Return what is wrong with label sets: they are the policy's reading of scores or sequences."""
    expected = policies.read(policy, protocol, scores, state, sequences=sequences, known=known)
    bits = predicted.bits if isinstance(predicted, BitMatrix) else np.packbits(predicted, axis=1)
    wrong = int(np.count_nonzero((expected.bits != bits).any(axis=1)))
    if not wrong:
        return []
    if not policy.by_protocol:
        return [f"the label sets of {wrong} images are not those of policy {policy.name}"]
    if sequences is not None:
        return ["its predicted label sets are not those of its label sequences"]
    return [f"the label sets of {wrong} images are not {protocol.name} of their scores"]


def of_state(policy: Policy, protocol: Protocol, part: ValidationPart, state: PolicyState) -> list[str]:
    """Return whether the policy chooses otherwise on the stored validation part than it is stored to have chosen."""
    truth, scores = part.truth, part.prediction.scores
    masks = {"ignore": truth.ignore, "known": part.known}
    again = policies.fit(policy, protocol, scores, truth.truth, labels=truth.labels, **masks) or {}
    same = again.keys() == state.keys() and all(
        again[name].shape == state[name].shape and np.allclose(again[name], state[name], rtol=1e-5, atol=1e-7)
        for name in again
    )
    return [] if same else [f"policy {policy.name} chooses otherwise on its validation part"]


def of_range(scores: Scores) -> list[str]:
    """Return whether scores lie where no score of their kind can."""
    lower, upper = LOWER.get(scores.kind, -np.inf), UPPER.get(scores.kind, np.inf)
    least, most = np.inf, -np.inf
    for rows in row_blocks(*scores.values.shape):
        block = scores.values[rows]
        least, most = min(least, float(block.min(initial=least))), max(most, float(block.max(initial=most)))
    if least >= lower and most <= upper:
        return []
    return [f"some of its scores can be no {scores.kind}: they go from {least:.4g} to {most:.4g}"]


def search_options(protocol: Protocol, config: Mapping[str, Any]) -> SearchOptions:
    """Return the search in force, from a run's config."""
    return SearchOptions(**protocols.searched(protocol, config["search"]))


def of_sequences(options: SearchOptions, scores: Scores, sequences: LabelSets) -> list[str]:
    """Return what is wrong with label sequences and with their class scores."""
    labels = scores.values.shape[1]
    if impossible := _impossible(options, sequences, labels):
        return [f"its label sequences {what}" for what in impossible]
    faults = [] if scores.kind == "probability" else [f"its class scores are of kind {scores.kind}, not probability"]
    unexplained = 0
    for rows in row_blocks(*scores.values.shape):
        probability = np.exp(sequences.log_probabilities[rows])
        explained = _explained(
            options, sequences.sequences[rows], probability, sequences.complete[rows], scores.values[rows]
        )
        unexplained += int(np.count_nonzero(~explained))
    if unexplained:
        faults.append(f"the class scores of {unexplained} images cannot be {options.class_score} of their sequences")
    return faults


def _impossible(options: SearchOptions, answers: LabelSets, labels: int) -> list[str]:
    """Return in words what no search with these ``options`` over so many ``labels`` can answer."""
    sequences, lengths = answers.sequences, (answers.sequences >= 0).sum(axis=1)
    in_order = np.sort(sequences, axis=1)
    checks = {
        f"hold indices beyond the {labels} labels": ((sequences < -1) | (sequences >= labels)).any(),
        "have gaps": ((sequences[:, :-1] < 0) & (sequences[:, 1:] >= 0)).any(),
        f"are longer than max_length={options.max_length}": (lengths > options.max_length).any(),
        f"ended before min_length={options.min_length}": (answers.complete & (lengths < options.min_length)).any(),
        "repeat labels, which mask_repeats forbids": options.mask_repeats
        and ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)).any(),
        "have log-probabilities that are none": not (answers.log_probabilities <= TINY).all(),
    }
    return [what for what, found in checks.items() if found]


def _explained(
    options: SearchOptions,
    sequences: NDArray[np.int32],
    probability: NDArray[np.float64],
    complete: BoolArray,
    scores: FloatArray,
) -> BoolArray:
    """Return whether each image's class scores (n, labels) agree with its sequence and that one's probability."""
    emitted = sequences >= 0
    lengths = emitted.sum(axis=1)
    given = np.take_along_axis(scores.astype(np.float64), np.maximum(sequences, 0).astype(np.int64), axis=1)
    given = np.where(emitted, given, 1.0)
    total = scores.sum(axis=1, dtype=np.float64)
    enough = probability * (1.0 - SLACK) - TINY
    if options.class_score == "beam_marginal":
        # The answer is one of the candidates whose probabilities are summed, and these are at most 1 together.
        return np.asarray(given.min(axis=1, initial=1.0) >= (1.0 - FIRST_STEP_WEIGHT) * enough)
    if options.class_score == "inclusion":
        # The beam extended all beginnings of its answer; those of an exact search's it may have missed.
        return np.asarray((given.min(axis=1, initial=1.0) >= enough) | (options.search == "exact"))
    # A step's probabilities sum to 1, END included, and END is the only step of an empty answer.
    steps = lengths + 1 if options.class_score == "max_over_steps" else np.ones_like(lengths)
    ended_at_once = complete & (lengths == 0)
    possible = (total <= steps + SLACK) & (~ended_at_once | (np.abs(total + probability - 1.0) <= SLACK))
    if options.class_score == "first_step":
        return np.asarray(possible & (given[:, :1].min(axis=1, initial=1.0) >= enough))
    return np.asarray(possible & (given.prod(axis=1) >= enough))
