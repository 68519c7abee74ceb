"""Predictions and measures computed again, and compared with those that a run has stored."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bench import run_config
from bench.assembly import Assembly
from bench.decode.search import Conditional, Prefixes
from bench.model.networks import searchable
from bench.model.predict import predict
from bench.rebuilt import Rebuilt
from bench.recompute.compare import MEASURES, relative_difference
from bench.records import Features, LabelSets, Prediction
from bench.store.run_folder import RunFolder


def of_scores(folder: RunFolder, prediction: Prediction, tolerance: float) -> tuple[float, list[str]]:
    """Return by how much the scores differ, relative to the largest, and what is wrong with them."""
    stored, again = folder.read_scores(), prediction.scores
    difference = relative_difference(stored.values, again.values)
    faults = []
    if stored.kind != again.kind:
        faults.append(f"its scores are stored as {stored.kind}, its model gives {again.kind}")
    if not difference <= tolerance:
        faults.append(f"its scores are not those of its weights: they differ by {difference:.1e}, relative")
    return difference, faults


def of_validation(folder: RunFolder, rebuilt: Rebuilt, features: Features, tolerance: float) -> list[str]:
    """Return what is stored of the validation part and is not what data and weights give again.

    That a policy's choice and the label sets follow from it is seen from the folder alone.
    """
    assembly, stored = rebuilt.assembly, folder.read_validation()
    split = assembly.parts.validation
    known = assembly.known_of(split)
    again = predict(rebuilt.model, features, assembly.protocol, assembly.search, known)
    faults = []
    if stored.truth.ids != split.ids or not np.array_equal(stored.truth.truth, split.truth):
        faults.append("its validation part is not that of its data set")
    difference = relative_difference(stored.prediction.scores.values, again.scores.values)
    if not difference <= tolerance:
        faults.append(f"its validation scores are not those of its weights: they differ by {difference:.1e}, relative")
    return faults


def of_own_sets(folder: RunFolder, prediction: Prediction, tolerance: float) -> list[str]:
    """Return whether the model decides on other label sets; a share ``tolerance`` of the images may lie at a tie."""
    wrong = int((folder.read_predicted() != prediction.predicted).any(axis=1).sum())
    if wrong <= tolerance * len(prediction.predicted):
        return []
    return [f"the label sets of {wrong} images are not those that its weights decide on"]


def of_sequences(folder: RunFolder, rebuilt: Rebuilt, test: Features, again: LabelSets, tolerance: float) -> list[str]:
    """Return whether the model gives other label sequences; of two equally probable ones it may give either."""
    stored = folder.read_label_sets()
    width = max(stored.sequences.shape[1], again.sequences.shape[1])
    one, other = (_padded(sets.sequences, width) for sets in (stored, again))
    changed = (one != other).any(axis=1) | (stored.complete != again.complete)
    allowed = tolerance * np.maximum(1.0, np.abs(again.log_probabilities))
    unlike = ~(np.abs(stored.log_probabilities - again.log_probabilities) <= allowed)
    wrong = int(np.count_nonzero(unlike))
    if (tied := np.flatnonzero(changed & ~unlike)).size:
        found = _log_probabilities(rebuilt, test, stored, tied)
        wrong += int(np.count_nonzero(~(np.abs(found - stored.log_probabilities[tied]) <= allowed[tied])))
    return [f"the label sequences of {wrong} images are not those of its weights"] if wrong else []


def _log_probabilities(
    rebuilt: Rebuilt, test: Features, stored: LabelSets, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what the model says of the stored sequences of ``rows``, (rows,)."""
    assert rebuilt.assembly.search is not None, "only a model that searches has label sequences"
    some = Features(tuple(test.ids[row] for row in rows), np.ascontiguousarray(test.values[rows]), test.key)
    network, terms, starts = searchable(rebuilt.model, some)
    found = []
    for place, row in enumerate(rows.tolist()):
        prefixes = Prefixes(network, starts[place if network.sees_image else 0])
        conditional = Conditional(prefixes, terms[place], rebuilt.assembly.search)
        labels = tuple(stored.sequences[row][stored.sequences[row] >= 0].tolist())
        path = (*labels, conditional.end) if stored.complete[row] else labels
        found.append(sum(float(conditional(path[:step])[label]) for step, label in enumerate(path)))
    return np.array(found)


def of_measures(folder: RunFolder, assembly: Assembly, prediction: Prediction) -> list[str]:
    """Return the measures that the prediction does not give again."""
    again = assembly.measure(prediction).values
    return [
        f"{name} is stored as {claimed:.4f}, its weights give {again.get(name, math.nan):.4f}"
        for name, claimed in folder.read_measures().values.items()
        if not abs(claimed - again.get(name, math.nan)) <= MEASURES
        and not (math.isnan(claimed) and math.isnan(again.get(name, math.nan)))
    ]


def of_descriptions(folder: RunFolder, assembly: Assembly) -> list[str]:
    """Return what readers are told of the run's parts, or of its objects' sizes, and plugin and data set do not say."""
    about, now, sizes = folder.read_about(), run_config.about(assembly), assembly.parts.test.sizes
    names = [name for name in run_config.TOLD if getattr(about, name) != getattr(now, name)]
    faults = [f"about.json: {name} is not what plugin and data set say" for name in names]
    same = folder.lists("sizes") == (sizes is not None)
    if not same or (sizes is not None and not np.array_equal(folder.read_sizes(), sizes)):
        faults.append("its objects' sizes are not those of its data set")
    return faults


def _padded(sequences: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    return np.pad(sequences, ((0, 0), (0, width - sequences.shape[1])), constant_values=-1)
