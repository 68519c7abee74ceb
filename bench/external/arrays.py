"""Predictions in NumPy's files and in arrays: a matrix, whose rows and columns are named beside it or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import DataError
from bench.external.given import KINDS, Dense, Names, matrix, texts
from bench.system import npz

MEMBERS = ("ids", "labels", "scores", "kind")
"""The arrays of an npz file: ids (images,), labels (labels,), scores (images, labels), and what kind they are."""


def read_npz(content: bytes, place: str, names: Names) -> Dense:
    """Return what an npz file holds. Nothing in it is unpickled."""
    try:
        arrays = npz.load_npz(content)
    except Exception as error:  # of a foreign file the readers of zip and npy raise whatever they ran into
        raise DataError(f"{place}: no npz file of plain arrays: {_first_line(error)}") from None
    if other := sorted({*arrays} - {*MEMBERS}):
        raise DataError(f"{place}: holds an array '{other[0]}', allowed: {', '.join(MEMBERS)}")
    if "scores" not in arrays:
        raise DataError(f"{place}: has no array 'scores'; allowed: {', '.join(MEMBERS)}")
    kind = arrays["kind"].item() if "kind" in arrays and arrays["kind"].ndim == 0 else arrays.get("kind", "")
    return of_matrix(arrays["scores"], arrays.get("ids"), arrays.get("labels"), place, names, kind=kind)


def map_npy(path: Path, names: Names) -> Dense:
    """Return what the npy file at ``path`` holds, the scores alone, memory-mapped: they need not fit in memory."""
    place = str(path)
    try:
        scores = npz.map_npy(path)
    except Exception as error:  # of a foreign file the reader of headers raises whatever it ran into
        raise DataError(f"{place}: no npy file of numbers: {_first_line(error)}") from None
    return of_matrix(scores, None, None, place, names)


def of_matrix(scores: Any, ids: Any, labels: Any, place: str, names: Names, *, kind: Any = "") -> Dense:
    """Return a matrix with the ids and labels that stand beside it, or were given. Raises ``DataError`` without ids."""
    own_ids = None if ids is None else texts(ids, f"{place}: ids")
    own_labels = None if labels is None else texts(labels, f"{place}: labels")
    chosen = agreeing(own_ids, names.ids, "ids", place)
    if chosen is None:
        raise DataError(f"{place}: says no image ids, and the order of rows is none. Try: --ids FILE, one id a line")
    if kind != "" and not (isinstance(kind, str) and kind in KINDS):
        raise DataError(f"{place}: says that its scores are of kind {kind!r:.60}, allowed: {', '.join(KINDS)}")
    values = matrix(scores, place)
    if values.ndim != 2 or len(values) != len(chosen):
        raise DataError(f"{place}: scores are {values.shape}, must be images by labels, with {len(chosen)} ids")
    return Dense(place, chosen, agreeing(own_labels, names.labels, "labels", place), values, kind)


def agreeing(
    own: tuple[str, ...] | None, given: tuple[str, ...] | None, what: str, place: str
) -> tuple[str, ...] | None:
    """Return the names that a file has, or those given for it. Raises ``DataError`` where there are both and differ."""
    if own is not None and given is not None and own != given:
        raise DataError(f"{place}: its own {what} are not those of --{what}. Try: without --{what}")
    return given if own is None else own


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
