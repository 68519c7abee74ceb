"""From image terms to label sequences: the search over a trained model's label sequences, for many images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bench.contracts import StepNetwork
from bench.records import FloatArray, LabelSets, Scores, SearchOptions
from bench.search import Answer, Conditional, Prefixes, search


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a search returns for a split: a label sequence and a probability per label for every image.

    ``statistics`` counts the work: ``images``, ``prefixes`` the step network computed, ``node_limit_hits`` and,
    for an exact search, ``beam_misses``: the images whose most probable sequence the beam did not find.
    """

    label_sets: LabelSets
    class_scores: Scores
    statistics: dict[str, float] = field(default_factory=dict)


def decode(
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    ids: Sequence[str],
    options: SearchOptions,
    *,
    engine: Literal["kernel", "reference"] = "kernel",
) -> Decoded:
    """Return the label sequence of every image.

    ``image_terms`` (images, D) and ``start_states`` (1, S), or (images, S) where ``network.sees_image``, are
    C-contiguous float32. The options mean what ``bench.search`` says.
    """
    answers, prefixes = _search_all(network, image_terms, start_states, options)
    longest = max((len(answer.labels) for answer in answers), default=0)
    sequences = np.full((len(ids), longest), -1, dtype=np.int32)
    for row, answer in zip(sequences, answers, strict=True):
        row[: len(answer.labels)] = answer.labels
    scores = np.array([answer.scores for answer in answers], dtype=np.float32)
    return Decoded(
        LabelSets(
            tuple(ids),
            sequences,
            np.array([answer.log_probability for answer in answers], dtype=np.float64),
            np.array([answer.complete for answer in answers], dtype=np.bool_),
        ),
        Scores(tuple(ids), scores.reshape(len(ids), len(network.output) - 1), "probability"),
        {
            "images": len(ids),
            "prefixes": prefixes,
            "node_limit_hits": sum(answer.limited for answer in answers),
            "beam_misses": sum(answer.beam_missed for answer in answers),
        },
    )


def _search_all(
    network: StepNetwork, image_terms: FloatArray, start_states: FloatArray, options: SearchOptions
) -> tuple[list[Answer], int]:
    """Return every image's answer by the plain search, and how many prefixes were computed."""
    shared = Prefixes(network, start_states[0])
    answers: list[Answer] = []
    computed = 0
    for row, image_term in enumerate(image_terms):
        prefixes = Prefixes(network, start_states[row]) if network.sees_image else shared
        before = len(prefixes)
        answers.append(search(Conditional(prefixes, image_term, options)))
        computed += len(prefixes) - before
    return answers, computed
