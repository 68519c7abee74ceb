"""One stored run under every disputed definition, side by side: why published numbers cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.evaluation import metrics
from bench.evaluation.bits import Mask, count
from bench.evaluation.metrics import ApKind, ZeroDivision
from bench.evaluation.outcome import Outcome
from bench.evaluation.protocols import AP_KINDS, THRESHOLDS, Protocol

PAPER = "Wang et al. 2016, the printed tables"


@dataclass(frozen=True, slots=True)
class View:
    """One definition of one metric: its value on the run, a fraction in [0, 1] or NaN, and who uses it.

    ``own`` marks the definition that the run's protocol takes; ``note`` says why a value is undefined.
    """

    metric: str
    definition: str
    used_by: str
    value: float
    own: bool = False
    note: str = ""


def views(outcome: Outcome, protocol: Protocol) -> list[View]:
    """Return every disputed definition with its value on ``outcome``; labels and scores are the same throughout."""
    return [
        *_f1(outcome, protocol),
        *_selection(outcome, protocol),
        *_overall_precision(outcome),
        *_empty(outcome, protocol),
        *_difficult(outcome, protocol),
        *_average_precision(outcome, protocol),
        *_map_at_10(outcome, protocol),
    ]


def _mask(outcome: Outcome, protocol: Protocol) -> Mask | None:
    return outcome.ignore if protocol.difficult == "ignore" else None


def _f1(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, _mask(outcome, protocol))
    harmonic = metrics.macro(counts, protocol.no_predictions)[2]
    own = protocol.f1 == "harmonic_of_means"
    yield View("C-F1", "harmonic mean of C-P and C-R", f"{PAPER}; ML-GCN", harmonic, own)
    mean = metrics.mean_of_f1(counts)
    yield View(
        "C-F1", "mean of the classes' F1", "SRN; image-to-set; scikit-learn and torchmetrics macro", mean, not own
    )


def _selection(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    mask, values, k = _mask(outcome, protocol), outcome.scores.values, protocol.k
    threshold = THRESHOLDS.get(outcome.scores.kind)
    best = metrics.packed_top_k(values, k)
    chosen: dict[tuple[str, str], Mask | None] = {
        ("as the run predicted", "this run"): outcome.predicted,
        (f"exactly the {k} best by score", f"Gong et al. 2013; {PAPER}, softmax and WARP"): best,
        (f"of the {k} best those above the threshold", "ML-GCN and most later 'top-3' rows"): None
        if threshold is None
        else metrics.packed_top_k(values, k, threshold),
    }
    for name, place in (("O-P", 0), ("O-F1", 2)):
        for (definition, used_by), predicted in chosen.items():
            if predicted is None:
                yield View(name, definition, used_by, float("nan"), note=f"{outcome.scores.kind} has no threshold")
                continue
            value = metrics.micro(metrics.class_counts(outcome.truth, predicted, mask), protocol.no_predictions)[place]
            yield View(name, definition, used_by, value, predicted is outcome.predicted)


def _overall_precision(outcome: Outcome) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, outcome.ignore)
    # ML-GCN sets a class's zero predictions to one before it divides, and adds those ones up as well.
    predicted = int(np.maximum(counts.predicted, 1).sum())
    value = int(counts.true_positives.sum()) / predicted if predicted else float("nan")
    yield View("O-P", "a class never predicted counts as one prediction", "ML-GCN", value)


def _empty(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    counts = metrics.class_counts(outcome.truth, outcome.predicted, _mask(outcome, protocol))
    never = int(((counts.predicted == 0) & (counts.positives > 0)).sum())
    cases: tuple[tuple[ZeroDivision, str], ...] = (("zero", f"{PAPER}; ML-GCN"), ("one", "SRN; image-to-set"))
    for empty, used_by in cases:
        definition = f"0/0 is {empty} for the {never} classes never predicted"
        value = metrics.macro(counts, empty)[0]
        yield View("C-P", definition, used_by, value, empty == protocol.no_predictions)


def _difficult(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    pairs = 0 if outcome.ignore is None else count(outcome.ignore)
    for choice, mask, used_by in (
        ("left out", outcome.ignore, "VOC devkit"),
        ("negatives", None, "codebases that read the flags as > 0"),
    ):
        ap = metrics.average_precisions(outcome.truth, outcome.scores.values, (protocol.ap,), mask)[protocol.ap]
        own = (protocol.difficult == "ignore") == (choice == "left out")
        note = "" if pairs else "there are none, so both are equal"
        yield View("mAP", f"the {pairs:,} difficult pairs are {choice}", used_by, metrics.mean_defined(ap), own, note)


def _average_precision(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    used_by: dict[ApKind, str] = {
        "11_point": "VOC 2007 devkit",
        "all_point": "VOC 2010-2012 devkit; SRN",
        "non_interpolated": "scikit-learn; ML-GCN; ASL",
    }
    found = metrics.average_precisions(outcome.truth, outcome.scores.values, AP_KINDS, _mask(outcome, protocol))
    for kind in AP_KINDS:
        value = metrics.mean_defined(found[kind])
        yield View("mAP", f"{kind.replace('_', '-')} AP", used_by[kind], value, kind == protocol.ap)


def _map_at_10(outcome: Outcome, protocol: Protocol) -> Iterator[View]:
    mask, truth, values = _mask(outcome, protocol), outcome.truth, outcome.scores.values
    image = metrics.mean_defined(metrics.map_at_k_image(truth, values, 10, mask))
    per_class = metrics.mean_defined(metrics.map_at_k_class(truth, values, 10, mask))
    yield View("MAP@10", "per image, over its labels", "Weston et al. 2011", image, protocol.map_at_10 == "image")
    definition = "per class, over images that hold it among their 10 best"
    yield View("MAP@10", definition, "a reading of the paper's cells", per_class, protocol.map_at_10 == "class")


def to_json(view: View) -> dict[str, Any]:
    """Return the view as JSON values."""
    return {name: getattr(view, name) for name in View.__slots__}
