"""The disputed definitions of metrics of label sets: F1, how labels are chosen, empty classes, difficult pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bench.contracts import Protocol, ZeroDivision
from bench.evaluation import metrics
from bench.evaluation.bits import BitMatrix, Mask, count, row_blocks
from bench.evaluation.lens import sources
from bench.evaluation.lens.sources import PAPER, User
from bench.evaluation.lens.view import View, mask_by, view
from bench.evaluation.outcome import Outcome
from bench.evaluation.protocols import THRESHOLDS, packed_from_scores


def count_views(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    """Yield every definition of C-, O- precision and F1 in dispute with its value."""
    yield from _f1(outcome, protocol)
    yield from _selection(outcome, protocol)
    yield from _all_above(outcome, protocol)
    yield from _overall_precision(outcome)
    yield from _empty(outcome, protocol)
    yield from _difficult_in_counts(outcome, protocol)


def _f1(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, outcome.ignore)
    harmonic = metrics.macro(counts, protocol.no_predictions)[2]
    own = protocol.f1 == "harmonic_of_means"
    yield view("C-F1", "harmonic mean of C-P and C-R", sources.HARMONIC_OF_MEANS, harmonic, own, others=PAPER)
    yield view("C-F1", "mean of the classes' F1", sources.MEAN_OF_F1, metrics.mean_of_f1(counts), not own)


def _selection(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    mask, scores, k = outcome.ignore, outcome.scores, protocol.k
    exact, above_too = (replace(protocol, selection=selection) for selection in ("topk_exact", "topk_threshold"))
    best = packed_from_scores(exact, scores, outcome.known) if scores.rank else None
    above = packed_from_scores(above_too, scores, outcome.known) if scores.kind in THRESHOLDS else None
    chosen: tuple[tuple[str, str, tuple[User, ...], Mask | None], ...] = (
        ("as the run predicted", "this run", (), outcome.predicted),
        (f"exactly the {k} best by score", f"Gong et al. 2013; {PAPER}, softmax and WARP", (), best),
        (f"of the {k} best those above the threshold", "", sources.TOP_K_ABOVE, above),
    )
    for name, place in (("O-P", 0), ("O-F1", 2)):
        for definition, others, users, predicted in chosen:
            if predicted is None:
                note = f"{outcome.scores.kind} has no threshold" if outcome.scores.rank else "there are no scores"
                yield view(name, definition, users, float("nan"), note=note, others=others)
                continue
            value = metrics.micro(metrics.class_counts(outcome.truth, predicted, mask), protocol.no_predictions)[place]
            yield view(name, definition, users, value, predicted is outcome.predicted, others=others)


def _all_above(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    """Yield what all labels above a fixed probability are worth, however many they are."""
    for probability, users in ((0.5, sources.ABOVE_HALF), (0.8, sources.ABOVE_EIGHT_TENTHS)):
        definition = f"all labels above probability {probability}"
        threshold = {"probability": probability, "logit": float(np.log(probability / (1 - probability)))}
        if outcome.scores.kind not in threshold:
            for name in ("C-F1", "O-F1"):
                yield view(name, definition, users, float("nan"), note=f"{outcome.scores.kind} is no probability")
            continue
        predicted = _at_least(outcome.scores.values, threshold[outcome.scores.kind])
        counts = metrics.class_counts(outcome.truth, predicted, outcome.ignore)
        yield view("C-F1", definition, users, metrics.macro(counts, protocol.no_predictions)[2])
        yield view("O-F1", definition, users, metrics.micro(counts, protocol.no_predictions)[2])


def _at_least(values: Any, threshold: float) -> BitMatrix:
    """Return which scores reach ``threshold``, packed; ``values`` (images, labels) are read in blocks."""
    blocks = [np.packbits(np.asarray(values[rows]) >= threshold, axis=1) for rows in row_blocks(*values.shape)]
    return BitMatrix(np.concatenate(blocks), values.shape[1])


def _overall_precision(outcome: Outcome) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, outcome.ignore)
    # ML-GCN sets a class's zero predictions to one before it divides, and adds those ones up as well.
    predicted = int(np.maximum(counts.predicted, 1).sum())
    value = int(counts.true_positives.sum()) / predicted if predicted else float("nan")
    yield view("O-P", "a class never predicted counts as one prediction", sources.UNPREDICTED_AS_ONE, value)


def _empty(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, outcome.ignore)
    never = int(((counts.predicted == 0) & (counts.positives > 0)).sum())
    cases: tuple[tuple[ZeroDivision, str, tuple[User, ...]], ...] = (
        ("zero", PAPER, sources.EMPTY_IS_ZERO),
        ("one", "", sources.EMPTY_IS_ONE),
    )
    for empty, others, users in cases:
        definition = f"0/0 is {empty} for the {never} classes never predicted"
        value = metrics.macro(counts, empty)[0]
        yield view("C-P", definition, users, value, empty == protocol.no_predictions, others=others)


def _difficult_in_counts(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    pairs = 0 if outcome.difficult is None else count(outcome.difficult)
    note = "" if pairs else "there are none, so both are equal"
    choices: tuple[tuple[str, Mask | None, str, tuple[User, ...]], ...] = (
        ("left out", mask_by(outcome, "ignore"), "this benchmark", ()),
        ("negatives", mask_by(outcome, "negative"), "", sources.DIFFICULT_NEGATIVE_IN_COUNTS),
    )
    for choice, mask, others, users in choices:
        counts = metrics.class_counts(outcome.truth, outcome.predicted, mask)
        own = (protocol.difficult == "ignore") == (choice == "left out")
        definition = f"the {pairs:,} difficult pairs are {choice}"
        for name, f1 in (("C-F1", metrics.macro), ("O-F1", metrics.micro)):
            value = f1(counts, protocol.no_predictions)[2]
            its_own = own and (name == "O-F1" or protocol.f1 == "harmonic_of_means")
            yield view(name, definition, users, value, its_own, note=note, others=others)
