"""The project's metrics of arrays from anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from bench.contracts import Protocol
from bench.errors import DataError, UsageError, unknown
from bench.evaluation import protocols
from bench.evaluation.measure import measure as measured
from bench.external.align import TIED, new_ties_of_images
from bench.notebook.arrays import as_array, as_mask, as_scores, new_ties, refuse_where
from bench.records import BoolArray, LabelSets, Measures, ScoreKind, Scores


def measure(
    truth: Any,
    scores: Any,
    *,
    predicted: Any = None,
    kind: ScoreKind | None = None,
    protocol: str = "top3@1",
    ignore: Any = None,
    labels: Sequence[str] | None = None,
) -> Measures:
    """Return every metric of ``protocol``, as ``bench run`` stores it, for arrays of (images, labels).

    Arrays are NumPy's, nested lists, torch tensors on the CPU, or pandas frames, whose rows and columns must agree.
    ``truth``, ``predicted`` and ``ignore`` (pairs that do not count) are bool, or exactly 0 and 1. ``scores`` may be a
    run's ``bench.Scores``; other arrays are of ``kind``, "probability" if not given, and must lie in its range.
    ``predicted`` may be the ``bench.LabelSets`` of a search; if not given, the protocol reads them off the scores.
    ``labels`` names the columns in notes and errors.

    Numbers are taken as float32, as the store keeps them; where that makes ties, a note says so. Raises ``DataError``
    with the place of what is wrong, ``UsageError`` for an unknown protocol or kind.
    """
    if not isinstance(protocol, str):
        raise UsageError(f"protocol: found {protocol!r}, allowed: a name, as in 'top3@1'. See: bench protocols")
    arrays = {"truth": truth, "scores": scores, "predicted": predicted, "ignore": ignore}
    names = _names(labels, _columns(arrays))
    taken = scores if isinstance(scores, Scores) else None
    if taken is None:
        chosen = kind or "probability"
        if chosen not in get_args(ScoreKind):
            raise unknown("kind of scores", str(chosen), get_args(ScoreKind))
        values = as_scores(scores, chosen)
        taken = Scores(tuple(map(str, range(len(values)))), values.view(), chosen)
    elif kind not in {None, taken.kind}:
        raise DataError(f"scores are of kind '{taken.kind}', and kind='{kind}' was given")
    truths, shape = as_mask(truth, "truth"), taken.values.shape
    if 0 in shape:
        raise DataError(f"nothing to measure: {shape[0]} images, {shape[1]} labels; allowed: at least 1 of each")
    names = names or tuple(map(str, range(shape[1])))
    known = protocols.get(protocol)
    ignored = None if ignore is None else as_mask(ignore, "ignore")
    for name, array in (("truth", truths), ("ignore", ignored)):
        if array is not None and array.shape != shape:
            raise DataError(f"{name} is {array.shape}, scores are {shape}; must be the same, images by labels")
    if len(names) != shape[1]:
        raise DataError(f"labels: found {len(names)} names, scores have {shape[1]} columns")
    protocols.check(known, names)
    if ignored is not None:
        refuse_where(ignored & truths, ignored, "ignore", "False where truth is True")
    found = measured(known, names, truths, ignored, _predicted(predicted, taken, known), taken)
    merged = 0 if scores is taken else new_ties(scores, taken.values)
    if merged:
        note = f"{merged} scores equal another one of their label as float32, and did not before; they count as ties"
        found = replace(found, notes=(*found.notes, note))
    if scores is not taken and (of_images := new_ties_of_images(as_array(scores, "scores"), taken.values)):
        found = replace(found, notes=(*found.notes, TIED.format(of_images)))
    return found


def _predicted(given: Any, scores: Scores, protocol: Protocol) -> BoolArray | None:
    if given is None:
        return None
    if not isinstance(given, LabelSets):
        predicted = as_mask(given, "predicted")
        if predicted.shape != scores.values.shape:
            raise DataError(f"predicted is {predicted.shape}, scores are {scores.values.shape}; must be the same")
        return predicted
    images, labels = scores.values.shape
    if len(given.ids) != images:
        raise DataError(f"predicted: label sequences of {len(given.ids)} images, scores of {images}")
    if given.ids != scores.ids and {*given.ids} == {*scores.ids}:
        raise DataError("predicted: label sequences of the images of scores, in another order")
    highest = int(given.sequences.max(initial=-1))
    if highest >= labels:
        raise DataError(f"predicted: found label {highest} in a sequence, allowed: 0 to {labels - 1}")
    return protocols.predicted_from_sequences(protocol, given, scores)


def _names(labels: Sequence[str] | None, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the label names given, or else those of the frames' columns."""
    if labels is None:
        return columns
    ordered = isinstance(labels, Iterable) and not isinstance(labels, str | set | frozenset | Mapping)
    names = tuple(labels) if ordered else ()
    if not ordered or not all(isinstance(name, str) for name in names):
        raise DataError("labels: must be a sequence of names, one for each column")
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise DataError(f"labels: '{twice}' stands twice")
    if columns is not None and names != columns:
        raise DataError("labels: not the columns of the frames given, or in another order")
    return names


def _columns(arrays: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the columns that all pandas frames among ``arrays`` share; rows in another order are refused too."""
    pandas = sys.modules.get("pandas")  # who has a frame has imported it
    frames = [(name, f) for name, f in arrays.items() if pandas is not None and isinstance(f, pandas.DataFrame)]
    for axis, what in ((1, "columns"), (0, "rows")):
        for name, frame in frames[1:]:
            first, other = np.asarray(frames[0][1].axes[axis]), np.asarray(frame.axes[axis])
            if len(first) != len(other) or (first != other).any():
                raise DataError(
                    f"{name} has other {what} than {frames[0][0]}, or in another order."
                    f" Try: {name}.loc[{frames[0][0]}.index, {frames[0][0]}.columns]"
                )
    return tuple(map(str, frames[0][1].columns)) if frames else None
