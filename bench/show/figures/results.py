"""What a run got right: by class, by the size of objects, by threshold; and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.bits import Mask, row_blocks
from bench.evaluation.metrics import class_counts
from bench.records import BoolArray, FloatArray, ScoreKind
from bench.show.figures.base import COLOURS, INK, TEXT, Figure, canvas, fitting, legend

MOST_CLASSES = 81
SIZE_EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
"""Bins of the share of the picture that an object takes."""
SPREAD = 5
"""Times of which the longest is so many times the shortest stand on a logarithmic axis."""


def per_class(labels: Sequence[str], truth: Mask, predicted: Mask, ignore: Mask | None) -> Figure:
    """Return precision and recall of each class, the classes with most images first; as the paper's Fig. 7."""
    counts = class_counts(truth, predicted, ignore)
    hits, support, guesses = counts.true_positives, counts.positives, counts.predicted
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / guesses, hits / support
    order = np.argsort(-support, kind="stable")
    shown = order[:MOST_CLASSES]
    drawing, axes = canvas(4.6, 0.9 + 0.17 * len(shown), columns=2)
    for axis, values, name, colour in zip(axes, (precision, recall), ("precision", "recall"), COLOURS, strict=False):
        axis.barh(range(len(shown)), np.nan_to_num(values[shown]), color=colour, height=0.75)
        axis.set(xlim=(0, 1), xlabel=name, ylim=(len(shown) - 0.3, -0.7))
        axis.set_yticks([])
    axes[0].set_yticks(range(len(shown)), [fitting(labels[label]) for label in shown])
    rows = tuple(
        {
            "label": labels[label],
            "images": int(support[label]),
            "predicted": int(guesses[label]),
            "precision": float(precision[label]),
            "recall": float(recall[label]),
        }
        for label in order
    )
    never = [labels[label] for label in order if support[label] and not guesses[label]]
    caption = "Classes with the most test images stand first."
    if never:
        caption += f" Never predicted: {', '.join(never[:8])}{f' and {len(never) - 8} more' if len(never) > 8 else ''}."
    return Figure("per-class", "Precision and recall of each class", caption, rows, drawing)


def object_sizes(sizes: FloatArray, truth: BoolArray, models: Mapping[str, BoolArray]) -> Figure:
    """Return recall by the share of the picture that a label's largest object takes; as the paper's Fig. 8.

    ``sizes`` is (images, labels), 0 where unknown; ``models`` maps a name to its predicted label sets.
    """
    known = truth & (sizes > 0)
    bins = np.digitize(sizes[known], SIZE_EDGES[1:-1])
    totals = np.bincount(bins, minlength=len(SIZE_EDGES) - 1)
    drawing, (axis,) = canvas(3.9, 2.7 + 0.1 * len(models))
    names = [f"{low:.0%}-{high:.0%}" for low, high in itertools.pairwise(SIZE_EDGES)]
    rows = []
    for colour, (model, predicted) in zip(_cycle(len(models)), models.items(), strict=True):
        found = np.bincount(bins, weights=predicted[known], minlength=len(names))
        recall = np.where(totals > 0, found / np.maximum(totals, 1), np.nan)
        axis.plot(names, recall, marker="o", markersize=4, color=colour, label=model, linewidth=1.4)
        rows += [
            {"model": model, "size": name, "labels": int(total), "recall": float(value)}
            for name, total, value in zip(names, totals, recall, strict=True)
        ]
    axis.set(ylim=(0, 1), ylabel="recall", xlabel="share of the picture, of the label's largest object")
    legend(axis, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    caption = "Labels of the test images by size: " + ", ".join(
        f"{name} {total:,}" for name, total in zip(names, totals, strict=True)
    )
    return Figure("object-sizes", "Recall by size of the object", caption + ".", tuple(rows), drawing)


def thresholds(truth: Mask, scores: NDArray[np.floating], kind: ScoreKind, ignore: Mask | None) -> Figure:
    """Return calibration, and precision, recall and F1 over all pairs by threshold; both on the test part.

    ``scores`` (images, labels) are logits or probabilities. The curves show what a threshold would do. None is chosen
    here: that would be tuning on test data.
    """
    drawing, (left, right) = canvas(4.4, 5.8, rows=2)
    grid = np.linspace(0.02, 0.98, 49)
    edges = np.concatenate([[-np.inf], grid, [np.inf]])  # rounding carries a probability of 1 beyond it
    totals, (sums, hits_in_bin) = np.zeros(10, dtype=np.int64), np.zeros((2, 10))
    (reaching, reaching_true), positives = np.zeros((2, len(edges) - 1), dtype=np.int64), 0
    for block in row_blocks(*truth.shape):
        counted = slice(None) if ignore is None else ~ignore[block]
        values = np.asarray(scores[block], dtype=np.float64)[counted].ravel()
        positive, probability = truth[block][counted].ravel(), 1 / (1 + np.exp(-values)) if kind == "logit" else values
        bins = np.minimum((probability * 10).astype(int), 9)
        totals += np.bincount(bins, minlength=10)
        # What was summed up before goes first, so that the order of additions is that of all pairs at once.
        bins = np.concatenate([np.arange(10), bins])
        sums = np.bincount(bins, np.concatenate([sums, probability])).astype(np.float64)
        hits_in_bin = np.bincount(bins, np.concatenate([hits_in_bin, positive])).astype(np.float64)
        positives += int(np.count_nonzero(positive))
        reaching += np.histogram(probability, edges)[0]
        reaching_true += np.histogram(probability[positive], edges)[0]
    mean, actual = (total / np.maximum(totals, 1) for total in (sums, hits_in_bin))
    there = totals > 0
    error = float((np.abs(mean - actual) * totals).sum() / totals.sum())
    left.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
    left.plot(mean[there], actual[there], marker="o", markersize=4, color=COLOURS[0])
    left.set(xlabel="predicted probability", ylabel="share of labels present", xlim=(0, 1), ylim=(0, 1))
    rows = [
        {"curve": "calibration", "x": float(mean[b]), "y": float(actual[b]), "pairs": int(totals[b])}
        for b in np.flatnonzero(there)
    ]
    above, hits = (counts[::-1].cumsum()[::-1][1:] for counts in (reaching, reaching_true))
    curves = {
        "precision": hits / np.maximum(above, 1),
        "recall": hits / max(positives, 1),
        "F1": 2 * hits / np.maximum(above + positives, 1),
    }
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        right.plot(grid, curve, color=colour, label=name, linewidth=1.4)
        rows += [
            {"curve": name, "x": float(x), "y": float(y), "pairs": int(n)}
            for x, y, n in zip(grid, curve, above, strict=True)
        ]
    right.set(xlabel="threshold", ylim=(0, 1), xlim=(0, 1))
    legend(right)
    caption = (
        f"Above: expected calibration error {error:.3f}. Below: over all pairs of image and label; none is chosen here."
    )
    return Figure("thresholds", "Calibration and thresholds", caption, tuple(rows), drawing)


def pareto(rows: Sequence[Mapping[str, float | str]], measure: str) -> Figure:
    """Return ``measure`` against the time of an image; ``rows`` have model, ms, backbone_ms, model_ms, value (percent).

    A model is on the front if no other is as fast and better.
    """
    ordered = sorted(rows, key=lambda row: (float(row["ms"]), -float(row["value"])))
    drawing, (axis,) = canvas(3.9, 3.0)
    best, drawn = -np.inf, []
    for row in ordered:
        on_front = float(row["value"]) > best
        best = max(best, float(row["value"]))
        drawn.append({**row, "on_front": on_front})
    times, values = ([float(row[name]) for row in ordered] for name in ("ms", "value"))
    for row, x, y, place in zip(drawn, times, values, _beside(times, values), strict=True):
        front = row["on_front"]
        axis.plot(x, y, marker="o", color=COLOURS[0] if front else INK, markersize=7 if front else 5)
        name = str(row["model"])
        line = {"arrowstyle": "-", "color": INK, "linewidth": 0.5} if abs(place) > TEXT else None
        axis.annotate(
            name, (x, y), xytext=(7, place), textcoords="offset points", fontsize=TEXT, color=INK, arrowprops=line
        )
    # One backbone takes nearly all of the time: a logarithm would show a single point.
    if max(times) > SPREAD * min(times):
        axis.set(xscale="log")
    else:
        axis.locator_params(axis="x", nbins=4)
    axis.set(xlabel="milliseconds an image, backbone included", ylabel=f"{measure}, %")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(0.18)
    backbones = sorted({f"{float(row['backbone_ms']):.3g}" for row in rows})
    of_these = f", of which the backbone takes {' or '.join(backbones)} ms" if len(backbones) <= 3 else ""
    caption = f"Blue: no other model is as fast and better. Time as measured in the runs{of_these}."
    return Figure("pareto", f"{measure} against time", caption, tuple(drawn), drawing)


def _beside(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Return how far above its point each name stands, in points of type, so that near ones do not overlap."""
    span = max(max(values) - min(values), 1e-9)
    wide = max(max(times) - min(times), 1e-9)
    places: list[float] = []
    for number, (x, y) in enumerate(zip(times, values, strict=True)):
        near = [
            places[other] + 180 * (values[other] - y) / span
            for other in range(number)
            if abs(times[other] - x) < 0.2 * wide
        ]
        free = (place for place in (-3, 7, -13, 17, -23, 27, -33, 37) if all(abs(place - one) > 9 for one in near))
        places.append(next(free, -3))
    return places


def _cycle(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]
