"""What a step network says of label sequences that somebody found, many images at once, in float64.

Probabilities are those that the search has (``bench.decode.search``): what the options forbid is masked before the
softmax, and a path that was given no END is incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import StepNetwork
from bench.decode.search import FIRST_STEP_WEIGHT
from bench.records import BoolArray, FloatArray, SearchOptions

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rescored:
    """Of n label sequences: their log-probabilities (n,), whether END was emitted, and class scores (n, labels)."""

    log_probabilities: Array
    complete: BoolArray
    class_scores: Array


def next_label_log_probabilities(
    network: StepNetwork, terms: FloatArray, image_terms: FloatArray, prefixes: NDArray[Any], options: SearchOptions
) -> Array:
    """Return log P(label or END | prefix) of n images, (n, labels + 1), END last; -inf where ``options`` forbid it.

    ``prefixes`` (n, any length) are label indices padded with -1, ``terms`` (n, D) what ``network.step`` gave of the
    last label of each, START of an empty one, and ``image_terms`` (n, D) the images' own. Where all is forbidden,
    all of the row is -inf.
    """
    joint = np.asarray(terms, np.float64) + np.asarray(image_terms, np.float64)
    if network.activation == "relu":
        joint = np.maximum(joint, 0.0)
    elif network.activation == "tanh":
        joint = np.tanh(joint)
    logits: Array = joint @ network.output.T.astype(np.float64) + network.bias.astype(np.float64)
    emitted = prefixes >= 0
    logits[emitted.sum(axis=1) < options.min_length, -1] = -np.inf
    if options.mask_repeats:
        rows, steps = np.nonzero(emitted)
        logits[rows, prefixes[rows, steps]] = -np.inf
    highest = logits.max(axis=1, keepdims=True)
    shifted = logits - np.where(highest == -np.inf, 0.0, highest)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.where(total == 0.0, 1.0, total)))


def rescored(
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    sequences: NDArray[np.int64],
    options: SearchOptions,
) -> Rescored:
    """Return what the network says of ``sequences``, (n, ``max_length``) padded with -1, without gaps.

    The class scores are those of ``options.class_score`` with the sequence as the one candidate, as of exact search;
    ``inclusion`` is over the sequence's own beginnings.
    A sequence of probability 0 has log-probability -inf.
    """
    count, labels = len(sequences), len(network.output) - 1
    lengths = (sequences >= 0).sum(axis=1)
    total, complete = np.zeros(count), np.zeros(count, dtype=np.bool_)
    first, highest, included = (np.zeros((count, labels)) for _ in range(3))
    going, previous = np.arange(count), np.full(count, labels + 1, dtype=np.int64)
    states = start_states if network.sees_image else np.repeat(start_states[:1], count, axis=0)
    for step in range(options.max_length):
        if not going.size:
            break
        terms, states = network.step(previous, states)
        each = next_label_log_probabilities(network, terms, image_terms[going], sequences[going, :step], options)
        probability = np.exp(each[:, :labels])
        highest[going] = np.maximum(highest[going], probability)
        follows = np.exp(total[going])[:, None] * probability
        rows, steps = np.nonzero(sequences[going, :step] >= 0)
        follows[rows, sequences[going, :step][rows, steps]] = 0.0
        included[going] += follows
        if step == 0:
            first[:] = probability
        ends = lengths[going] == step
        stuck = ends & (each.max(axis=1) == -np.inf)  # nothing is left to emit, END neither
        wanted = np.where(ends, labels, sequences[going, step])
        total[going] += np.where(stuck, 0.0, each[np.arange(len(going)), wanted])
        complete[going] = ends & ~stuck
        going, states, previous = going[~ends], np.ascontiguousarray(states[~ends]), wanted[~ends]
    return Rescored(total, complete, _class_scores(sequences, total, first, highest, included, options=options))


def _class_scores(
    sequences: NDArray[np.int64], total: Array, first: Array, highest: Array, included: Array, *, options: SearchOptions
) -> Array:
    """Return the (n, labels) probabilities of ``bench.decode.search.class_scores`` with one candidate an image."""
    if options.class_score == "first_step":
        return first
    if options.class_score == "max_over_steps":
        return highest
    if options.class_score == "inclusion":
        return np.minimum(included, 1.0)
    marginal = np.zeros_like(first)
    rows, steps = np.nonzero(sequences >= 0)
    marginal[rows, sequences[rows, steps]] = np.exp(total)[rows]
    return (1.0 - FIRST_STEP_WEIGHT) * marginal + FIRST_STEP_WEIGHT * first
