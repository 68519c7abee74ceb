"""The disputed definitions of ranking metrics: kinds of average precision, ties, empty classes, difficult pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.contracts import ApKind, Protocol
from bench.evaluation import metrics
from bench.evaluation.bits import Mask, count
from bench.evaluation.lens import sources
from bench.evaluation.lens.sources import User
from bench.evaluation.lens.view import View, mask_of, view
from bench.evaluation.metrics.average_precision import columns, from_thresholds
from bench.evaluation.outcome import Outcome
from bench.evaluation.protocols import AP_KINDS


def ranking_views(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    """Yield every definition of mAP and MAP@10 in dispute with its value."""
    yield from _difficult(outcome, protocol)
    yield from _kinds(outcome, protocol)
    yield from _without_positives(outcome, protocol)
    yield from _ties(outcome, protocol)
    yield from _map_at_10(outcome, protocol)


def _mean_ap(outcome: Outcome, protocol: Protocol, mask: Mask | None) -> NDArray[np.float64]:
    found = metrics.average_precisions(outcome.truth, outcome.scores.values, (protocol.ap,), mask)
    return found[protocol.ap]


def _difficult(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    pairs = 0 if outcome.ignore is None else count(outcome.ignore)
    note = "" if pairs else "there are none, so both are equal"
    choices: tuple[tuple[str, Mask | None, str, tuple[User, ...]], ...] = (
        ("left out", outcome.ignore, "", sources.DIFFICULT_LEFT_OUT),
        ("negatives", None, "codebases that read the flags as > 0", ()),
    )
    for choice, mask, others, users in choices:
        value = metrics.mean_defined(_mean_ap(outcome, protocol, mask))
        own = (protocol.difficult == "ignore") == (choice == "left out")
        definition = f"the {pairs:,} difficult pairs are {choice}"
        yield view("mAP", definition, users, value, own, note=note, others=others)


def _kinds(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    users: dict[ApKind, tuple[User, ...]] = {
        "11_point": sources.ELEVEN_POINTS,
        "all_point": sources.ALL_POINTS,
        "non_interpolated": sources.NON_INTERPOLATED,
    }
    mask = mask_of(outcome, protocol)
    found = metrics.average_precisions(outcome.truth, outcome.scores.values, AP_KINDS, mask)
    for kind in AP_KINDS:
        value = metrics.mean_defined(found[kind])
        yield view("mAP", f"{kind.replace('_', '-')} AP", users[kind], value, kind == protocol.ap)
    rounded = [eleven_points_in_doubles(*_ranked(t, s, "first")) for _, t, s in _classes(outcome, mask) if t.any()]
    value = float(np.mean(rounded)) if rounded else float("nan")
    note = "recall 0.3, 0.6 and 0.7 fall below k x 0.1 by rounding where positives are a multiple of ten"
    yield view("mAP", "11-point AP, its points k x 0.1 in doubles", sources.ELEVEN_POINTS, value, note=note)


def _without_positives(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    ap = _mean_ap(outcome, protocol, mask_of(outcome, protocol))
    empty = int(np.isnan(ap).sum())
    dropped, zero = metrics.mean_defined(ap), float(np.nan_to_num(ap).mean()) if len(ap) else float("nan")
    note = "" if empty else "there are none, so both are equal"
    definition = f"the {empty:,} classes without a positive are"
    yield view("mAP", f"{definition} left out", sources.WITHOUT_POSITIVES_DROPPED, dropped, True, note=note)
    yield view("mAP", f"{definition} 0 and kept", sources.WITHOUT_POSITIVES_ZERO, zero, note=note)


def _ties(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    """Yield mAP with images of equal score retrieved together, and the bounds of any sort that separates them."""
    mask = mask_of(outcome, protocol)
    grouped = metrics.mean_defined(_mean_ap(outcome, protocol, mask))
    yield view("mAP", "images of equal score enter together", sources.TIES_GROUPED, grouped, True)
    for place, word in (("last", "lowest"), ("first", "highest")):
        found = [
            from_thresholds(*_ranked(truth, scores, place), protocol.ap)
            for _, truth, scores in _classes(outcome, mask)
            if truth.any()
        ]
        value = float(np.mean(found)) if found else float("nan")
        definition = f"images of equal score as sorted, the {word} that an order gives"
        yield view("mAP", definition, sources.TIES_AS_SORTED, value)


def _classes(outcome: Outcome, mask: Mask | None) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.floating]]]:
    return columns(outcome.truth, outcome.scores.values, mask)


def _ranked(
    truth: NDArray[np.bool_], scores: NDArray[np.floating], positives: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return TP and retrieved images at each positive, no two images at once; ``positives`` of a tie "first" or "last".

    Both (positives,), in the order of the ranking.
    """
    order = np.lexsort((~truth if positives == "first" else truth, -scores))
    retrieved = np.flatnonzero(truth[order]) + 1
    return np.arange(1, len(retrieved) + 1), retrieved


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
    mask, truth, values = mask_of(outcome, protocol), outcome.truth, outcome.scores.values
    image = metrics.mean_defined(metrics.map_at_k_image(truth, values, 10, mask))
    per_class = metrics.mean_defined(metrics.map_at_k_class(truth, values, 10, mask))
    own = protocol.map_at_10
    yield view("MAP@10", "per image, over its labels", (), image, own == "image", others="Weston et al. 2011")
    definition = "per class, over images that hold it among their 10 best"
    yield view("MAP@10", definition, (), per_class, own == "class", others="a reading of the paper's cells")
