"""The figures of a group of runs that compare: those of all models, then each model's own, from what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bench.evaluation.bits import Mask
from bench.guard import reason
from bench.records import Preprocessing
from bench.show import figures
from bench.show.figures import attention, embedding, results, search_tree
from bench.show.report import chosen_thresholds
from bench.show.report.evidence import Part
from bench.show.tables import Row
from bench.store.cost import cost_of
from bench.store.run_folder import RunFolder

ALL = "all models"
"""Whose the figures are that hold every model."""
MOST_TREES = 2

_Drawing = tuple[str, str, Callable[[], list[figures.Figure]]]
"""Whose figures, of what, and what draws them."""


def drawn(
    rows: Sequence[Row], folders: Mapping[str, RunFolder], truth: Part, predicted: Mapping[str, Mask]
) -> tuple[list[tuple[str, figures.Figure]], list[str]]:
    """Return figures with their owners, and a remark on each that cannot be drawn.

    ``folders`` and ``predicted`` map a row's label to its first finished run and that run's label sets.
    """
    shown: list[tuple[str, figures.Figure]] = []
    remarks: list[str] = []
    for owner, what, make in (*_of_all(rows, folders, truth, predicted), *_of_each(rows, folders, truth, predicted)):
        try:
            shown += [(owner, figure) for figure in make()]
        except Exception as error:  # a picture that cannot be drawn must not cost the page
            remarks.append(f"{owner}: no picture of {what}: {reason(error)}")
    return shown, remarks


def milliseconds(folder: RunFolder) -> dict[str, float] | None:
    """Return what an image takes, in milliseconds: in all, in the backbone and in the model; ``None``: not timed."""
    cost = cost_of(folder)
    if cost.latency is None or cost.features is None:
        return None
    whole, backbone = 1e3 * cost.latency, 1e3 * cost.features
    return {"ms": whole, "backbone_ms": backbone, "model_ms": whole - backbone}


def _of_all(
    rows: Sequence[Row], folders: Mapping[str, RunFolder], truth: Part, predicted: Mapping[str, Mask]
) -> list[_Drawing]:
    """Return the figures that hold all models: what a better number costs, and recall by size."""
    some = next(iter(folders.values()))

    def sizes() -> list[figures.Figure]:
        if not some.has("sizes"):
            return []
        return [results.object_sizes(some.read_sizes(), truth.truth[:], {name: m[:] for name, m in predicted.items()})]

    def cost(measure: str) -> list[figures.Figure]:
        points: list[dict[str, float | str]] = []
        for row in rows:
            folder = folders.get(row.label)
            if folder is None or measure not in row.cells or not folder.has("timings"):
                continue
            if parts := milliseconds(folder):
                points.append({"model": row.label, **parts, "value": row.cells[measure].mean})
        return [results.pareto(points, measure)] if len(points) > 1 else []

    costs = [(ALL, f"{measure} and its cost", partial(cost, measure)) for measure in ("O-F1", "mAP")]
    return [*costs, (ALL, "recall by size", sizes)]


def _of_each(
    rows: Sequence[Row], folders: Mapping[str, RunFolder], truth: Part, predicted: Mapping[str, Mask]
) -> list[_Drawing]:
    """Return each model's own figures, by what its run has stored."""
    drawings: list[_Drawing] = []
    for row in rows:
        folder = folders.get(row.label)
        if folder is not None:
            drawings += [(row.label, *one) for one in _figures_of(folder, truth, predicted[row.label])]
    return drawings


def _figures_of(
    folder: RunFolder, truth: Part, predicted: Mask
) -> list[tuple[str, Callable[[], list[figures.Figure]]]]:
    """Return what of one run can be drawn: labels, thresholds, and what was stored beside the numbers."""
    exhibits, labels = folder.exhibits, truth.labels

    def of_labels() -> list[figures.Figure]:
        return [results.per_class(labels, truth.truth, predicted, truth.ignore)]

    def of_thresholds() -> list[figures.Figure]:
        scores = folder.read_scores()
        if scores.kind not in {"logit", "probability"}:
            return []
        return [results.thresholds(truth.truth, np.asarray(scores.values), scores.kind, truth.ignore)]

    def trees() -> list[figures.Figure]:
        stored = exhibits.trees()[:MOST_TREES] if folder.has("trees") else []
        return [search_tree.beam_tree(tree, labels, f"Search for {truth.ids[tree['row']]}") for tree in stored]

    def space() -> list[figures.Figure]:
        if not folder.has("embedding"):
            return []
        terms = exhibits.label_space()
        shown = [
            embedding.embedding_map(terms, labels),
            embedding.label_neighbours(terms, labels, truth.support),
        ]
        if folder.has("gallery"):
            scores = np.asarray(folder.read_scores().values)
            shown.append(embedding.image_neighbours(terms, labels, exhibits.gallery(), truth.truth, scores))
        return shown

    def attended() -> list[figures.Figure]:
        if not folder.has("attention"):
            return []
        sequences, pictures, shown = folder.read_label_sets().sequences, exhibits.gallery(), []
        preprocessing = Preprocessing(**folder.config["backbone"]["preprocessing"])
        for image, maps in list(exhibits.attention().items())[:MOST_TREES]:
            first = int(sequences[image, 0]) if sequences.shape[1] else -1
            word = labels[first] if first >= 0 else search_tree.END
            shown.append(attention.attention(pictures[image], maps, word, preprocessing))
        return shown

    return [
        ("labels", of_labels),
        ("thresholds", of_thresholds),
        ("thresholds for goals", partial(chosen_thresholds.curves, folder)),
        ("search trees", trees),
        ("label space", space),
        ("attention", attended),
    ]
