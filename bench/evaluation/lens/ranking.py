"""The disputed definitions of ranking metrics: kinds of average precision, ties, empty classes, difficult pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind, Protocol
from bench.evaluation import metrics
from bench.evaluation.bits import Mask, count
from bench.evaluation.lens import sources
from bench.evaluation.lens.sources import User
from bench.evaluation.lens.view import View, mask_by, view
from bench.evaluation.metrics.average_precision import columns, from_thresholds
from bench.evaluation.outcome import Outcome
from bench.evaluation.protocols import AP_KINDS

Ranked = tuple[NDArray[np.int64], NDArray[np.int64]]
"""TP and retrieved images at each positive of a class, (positives,) each."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Average precision of each class (labels,), NaN where it has no positive: by kind, and by what kinds leave open.

    ``lowest`` and ``highest`` are of the protocol's kind with images of equal score apart, ``in_doubles`` of 11 points.
    """

    by_kind: dict[ApKind, NDArray[np.float64]]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    in_doubles: NDArray[np.float64]


def ranking_views(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    """Yield every definition of mAP and MAP@10 in dispute with its value."""
    found = _of_classes(outcome, protocol)
    yield from _difficult(outcome, protocol, found.by_kind[protocol.ap])
    yield from _kinds(protocol, found)
    yield from _without_positives(found.by_kind[protocol.ap])
    yield from _ties(protocol, found)
    yield from _map_at_10(outcome, protocol)


def _of_classes(outcome: Outcome, protocol: Protocol) -> _Found:
    """Return what each class has, read in one pass: turning and sorting the scores is what takes time."""
    by_kind = {kind: np.full(outcome.truth.shape[1], np.nan) for kind in AP_KINDS}
    lowest, highest, in_doubles = np.full((3, outcome.truth.shape[1]), np.nan)
    for label, truth, scores in columns(outcome.truth, outcome.scores.values, outcome.ignore):
        if not truth.any():
            continue
        together, last, first = ranked(truth, scores)
        for kind in AP_KINDS:
            by_kind[kind][label] = from_thresholds(*together, kind)
        lowest[label], highest[label] = (from_thresholds(*one, protocol.ap) for one in (last, first))
        in_doubles[label] = eleven_points_in_doubles(*together)
    return _Found(by_kind, lowest, highest, in_doubles)


def _difficult(outcome: Outcome, protocol: Protocol, own_ap: NDArray[np.float64]) -> Iterator[View]:
    pairs = 0 if outcome.difficult is None else count(outcome.difficult)
    note = "" if pairs else "there are none, so both are equal"
    choices: tuple[tuple[str, Mask | None, str, tuple[User, ...]], ...] = (
        ("left out", mask_by(outcome, "ignore"), "", sources.DIFFICULT_LEFT_OUT),
        ("negatives", mask_by(outcome, "negative"), "codebases that read the flags as > 0", ()),
    )
    for choice, mask, others, users in choices:
        own, ap = (protocol.difficult == "ignore") == (choice == "left out"), own_ap
        if pairs and not own:
            ap = metrics.average_precisions(outcome.truth, outcome.scores.values, (protocol.ap,), mask)[protocol.ap]
        definition = f"the {pairs:,} difficult pairs are {choice}"
        yield view("mAP", definition, users, metrics.mean_defined(ap), own, note=note, others=others)


def _kinds(protocol: Protocol, found: _Found) -> Iterator[View]:
    users: dict[ApKind, tuple[User, ...]] = {
        "11_point": sources.ELEVEN_POINTS,
        "all_point": sources.ALL_POINTS,
        "non_interpolated": sources.NON_INTERPOLATED,
    }
    for kind in AP_KINDS:
        value = metrics.mean_defined(found.by_kind[kind])
        yield view("mAP", f"{kind.replace('_', '-')} AP", users[kind], value, kind == protocol.ap)
    value = metrics.mean_defined(found.in_doubles)
    note = "recall 0.3, 0.6 and 0.7 fall below k x 0.1 by rounding where positives are a multiple of ten"
    yield view("mAP", "11-point AP, its points k x 0.1 in doubles", sources.ELEVEN_POINTS, value, note=note)


def _without_positives(ap: NDArray[np.float64]) -> Iterator[View]:
    empty = int(np.isnan(ap).sum())
    dropped, zero = metrics.mean_defined(ap), float(np.nan_to_num(ap).mean()) if len(ap) else float("nan")
    note = "" if empty else "there are none, so both are equal"
    definition = f"the {empty:,} classes without a positive are"
    yield view("mAP", f"{definition} left out", sources.WITHOUT_POSITIVES_DROPPED, dropped, True, note=note)
    yield view("mAP", f"{definition} 0 and kept", sources.WITHOUT_POSITIVES_ZERO, zero, note=note)


def _ties(protocol: Protocol, found: _Found) -> Iterator[View]:
    """Yield mAP with images of equal score retrieved together, and the bounds of any sort that separates them."""
    grouped = metrics.mean_defined(found.by_kind[protocol.ap])
    yield view("mAP", "images of equal score enter together", sources.TIES_GROUPED, grouped, True)
    for word, ap in (("lowest", found.lowest), ("highest", found.highest)):
        definition = f"images of equal score as sorted, the {word} that an order gives"
        yield view("mAP", definition, sources.TIES_AS_SORTED, metrics.mean_defined(ap))


def ranked(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> tuple[Ranked, Ranked, Ranked]:
    """Return TP and retrieved images at each positive, of equal scores all together, positives last, and first.

    ``truth`` and ``scores`` are (images,), each array that is returned (positives,), in the order of the ranking.
    """
    positive, everything = np.sort(scores[truth]), np.sort(scores)

    def counted(side: Literal["left", "right"]) -> Ranked:
        """Return positives and images whose score is not less ("left") or more ("right") than each positive's."""
        hits, retrieved = (len(all_) - np.searchsorted(all_, positive, side)[::-1] for all_ in (positive, everything))
        return hits, retrieved

    (hits, retrieved), (hits_above, above) = counted("left"), counted("right")
    number = np.arange(1, len(positive) + 1)
    return (hits, retrieved), (number, number + retrieved - hits), (number, number + above - hits_above)


def eleven_points_in_doubles(hits: NDArray[np.int64], retrieved: NDArray[np.int64]) -> float:
    """Return 11-point average precision with the recall points k x 0.1 and recall both as doubles.

    3 x 0.1 is 0.30000000000000004: a recall of exactly 0.3 does not reach it, though it does on paper. ``hits`` and
    ``retrieved`` are (positives,). A language that makes the points in another way loses other ones.
    """
    recall, precision = hits / len(hits), hits / retrieved
    best = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(recall, np.arange(11) * 0.1, side="left")
    return float(best[first[first < len(best)]].sum() / 11)


def _map_at_10(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    mask, truth, values = outcome.ignore, outcome.truth, outcome.scores.values
    image = metrics.mean_defined(metrics.map_at_k_image(truth, values, 10, mask))
    per_class = metrics.mean_defined(metrics.map_at_k_class(truth, values, 10, mask))
    own = protocol.map_at_10
    yield view("MAP@10", "per image, over its labels", (), image, own == "image", others="Weston et al. 2011")
    definition = "per class, over images that hold it among their 10 best"
    yield view("MAP@10", definition, (), per_class, own == "class", others="a reading of the paper's cells")
