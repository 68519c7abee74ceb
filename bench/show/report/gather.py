"""What a report shows of stored runs, in groups that compare: table, error bars, figures, gallery, provenance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bench.errors import BenchError
from bench.evaluation import bootstrap, significance
from bench.guard import reason
from bench.records import BoolArray, Preprocessing
from bench.show import figures, tables
from bench.show.figures import attention, embedding, results, search_tree
from bench.show.report import chosen_thresholds
from bench.show.tables import Row, Table
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary, Truth

PAIR_BUDGET = 1.2e10
"""Image-label pairs times resamples spent on error bars: about 12 seconds of two cores, once."""
FEWEST, MOST = 100, 1000
MOST_TREES = 2


@dataclass(frozen=True, slots=True)
class CardLine:
    """One model's labels for one image, sorted into right, wrong and missed."""

    model: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One test image of the gallery with its truth and what each model says."""

    id: str
    picture: bytes
    truth: tuple[str, ...]
    predictions: tuple[CardLine, ...]

    @property
    def disagree(self) -> bool:
        """Return whether two models differ in their label sets."""
        return len({frozenset(one.right + one.wrong) for one in self.predictions}) > 1

    @property
    def errors(self) -> int:
        """Return how many labels are wrong or missed, over all models."""
        return sum(len(one.wrong) + len(one.missed) for one in self.predictions)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that compare: same data set, fingerprints and protocol. Rows without numbers keep their reasons."""

    name: str
    table: Table
    runs: tuple[RunSummary, ...]
    resamples: int = 0
    intervals: dict[str, dict[str, bootstrap.Interval]] = field(default_factory=dict)
    figures: tuple[tuple[str, figures.Figure], ...] = ()
    cards: tuple[Card, ...] = ()
    remarks: tuple[str, ...] = ()


def groups(summaries: Sequence[RunSummary]) -> list[Group]:
    """Return the runs in groups that compare, without error bars."""
    return [_group(runs) for runs in tables.by_comparison(summaries)]


def with_error_bars(group: Group, resamples: int | None, draw: significance.Draw = significance.draw) -> Group:
    """Return ``group`` with error bars and marks of what cannot be told apart; ``None``: as many as time allows."""
    folders = _finished(group.table, group.runs)
    if not folders or resamples == 0:
        return group
    try:
        outcomes = {label: [folder.read_outcome() for folder in members] for label, members in folders.items()}
        if resamples is None:
            pairs = math.prod(next(iter(outcomes.values()))[0].truth.shape) * sum(map(len, outcomes.values()))
            resamples = max(FEWEST, min(MOST, int(PAIR_BUDGET / max(pairs, 1))))
        found = significance.distributions(outcomes, resamples, draw)
    except BenchError as error:
        return replace(group, remarks=(f"no error bars: {error}", *group.remarks))
    intervals = {
        label: {metric: bootstrap.interval(values) for metric, values in row.items()} for label, row in found.items()
    }
    table = tables.with_ties(group.table, significance.ties(found))
    return replace(group, table=table, resamples=resamples, intervals=intervals)


def _finished(table: Table, runs: Sequence[RunSummary]) -> dict[str, list[RunFolder]]:
    """Return the folders of the finished runs of each row that has one, by its label."""
    by_key = {run.key: run for run in runs}
    folders = {
        row.label: [RunFolder(by_key[key].path) for key in row.keys if by_key[key].measures is not None]
        for row in table.rows
    }
    return {label: members for label, members in folders.items() if members}


def _group(runs: Sequence[RunSummary]) -> Group:
    table = tables.build(runs)
    name = runs[0].dataset
    folders = _finished(table, runs)
    if not folders:
        return Group(name, table, tuple(runs))
    truth = next(iter(folders.values()))[0].read_truth()
    remarks: list[str] = []
    firsts = {label: members[0] for label, members in folders.items()}
    predicted = {label: folder.read_predicted() for label, folder in firsts.items()}
    shown: list[tuple[str, figures.Figure]] = []
    for owner, what, make in (
        *_figures_of_all(table.rows, firsts, truth, predicted),
        *_figures_of_each(table.rows, firsts, truth, predicted),
    ):
        try:
            shown += [(owner, figure) for figure in make()]
        except Exception as error:  # a picture that cannot be drawn must not cost the page
            remarks.append(f"{owner}: no picture of {what}: {reason(error)}")
    remarks += [
        f"{run.config['model']['name']} seed {run.config['seed']}: {note}" for run in runs for note in run.about.remarks
    ]
    return Group(
        name,
        table,
        tuple(runs),
        figures=tuple(shown),
        cards=_cards(firsts, truth, predicted),
        remarks=tuple(remarks),
    )


_Drawing = tuple[str, str, Callable[[], list[figures.Figure]]]
"""Whose figures, of what, and what draws them."""


def _figures_of_all(
    rows: Sequence[Row], folders: dict[str, RunFolder], truth: Truth, predicted: dict[str, BoolArray]
) -> list[_Drawing]:
    """Return the figures that hold all models: recall by size, and what a better number costs."""
    some = next(iter(folders.values()))

    def sizes() -> list[figures.Figure]:
        return [results.object_sizes(some.read_sizes(), truth.truth, predicted)] if some.has("sizes") else []

    def cost(measure: str) -> list[figures.Figure]:
        points: list[dict[str, float | str]] = []
        for row in rows:
            seconds = folders[row.label].read_timings()["seconds"].get("predict") if row.label in folders else None
            if seconds and measure in row.cells:
                time = 1e6 * float(seconds) / len(truth.ids)
                points.append({"model": row.label, "microseconds": time, "value": row.cells[measure].mean})
        return [results.pareto(points, measure)] if len(points) > 1 else []

    costs = [("all models", f"{measure} and its cost", partial(cost, measure)) for measure in ("O-F1", "mAP")]
    return [("all models", "recall by size", sizes), *costs]


def _figures_of_each(
    rows: Sequence[Row], folders: dict[str, RunFolder], truth: Truth, predicted: dict[str, BoolArray]
) -> list[_Drawing]:
    """Return each model's own figures, by what its run has stored."""
    drawings: list[_Drawing] = []
    for row in rows:
        folder = folders.get(row.label)
        if folder is not None:
            drawings += [(row.label, *one) for one in _figures_of(folder, truth, predicted[row.label])]
    return drawings


def _figures_of(
    folder: RunFolder, truth: Truth, predicted: BoolArray
) -> list[tuple[str, Callable[[], list[figures.Figure]]]]:
    """Return what of one run can be drawn: labels, thresholds, and what was stored beside the numbers."""
    exhibits, labels = folder.exhibits, truth.labels

    def of_labels() -> list[figures.Figure]:
        return [results.per_class(labels, truth.truth, predicted, truth.ignore)]

    def of_thresholds() -> list[figures.Figure]:
        scores = folder.read_scores()
        if scores.kind not in {"logit", "probability"}:
            return []
        values = np.asarray(scores.values)
        probabilities = 1 / (1 + np.exp(-values.astype(np.float64))) if scores.kind == "logit" else values
        return [results.thresholds(truth.truth, probabilities, truth.ignore)]

    def trees() -> list[figures.Figure]:
        stored = exhibits.trees()[:MOST_TREES] if folder.has("trees") else []
        return [search_tree.beam_tree(tree, labels, f"Search for {truth.ids[tree['row']]}") for tree in stored]

    def space() -> list[figures.Figure]:
        if not folder.has("embedding"):
            return []
        terms = exhibits.label_space()
        shown = [
            embedding.embedding_map(terms, labels),
            embedding.label_neighbours(terms, labels, truth.truth.sum(axis=0)),
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


def _cards(folders: dict[str, RunFolder], truth: Truth, predicted: dict[str, BoolArray]) -> tuple[Card, ...]:
    """Return the gallery: the images of the first run that has one, with the predictions of every model."""
    holder = next((folder for folder in folders.values() if folder.has("gallery")), None)
    if holder is None:
        return ()
    ignore = np.zeros_like(truth.truth) if truth.ignore is None else truth.ignore

    def names(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[str, ...]:
        return tuple(truth.labels[label] for label in np.flatnonzero(mask))

    cards = []
    for row, picture in holder.exhibits.gallery().items():
        present, skipped = truth.truth[row], ignore[row]
        predictions = tuple(
            CardLine(
                label, names(sets[row] & present), names(sets[row] & ~present & ~skipped), names(present & ~sets[row])
            )
            for label, sets in predicted.items()
        )
        cards.append(Card(truth.ids[row], picture, names(present), predictions))
    return tuple(cards)
