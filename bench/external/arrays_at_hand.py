"""Predictions that a script holds: arrays, tensors, frames and mappings, with the ids and labels given beside them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.external.arrays import of_matrix
from bench.external.given import Dense, Given, Names, Source
from bench.external.json_files import of_mapping
from bench.system.room import blocks

PLACE = "scores"


def source(value: Any, names: Names) -> Source:
    """Return ``value`` as a file's content would be: a matrix, a pandas frame, or a mapping by image id.

    A frame's index are ids and its columns labels. Raises ``DataError`` for what is none of these.
    """
    given = _given(value, names)
    return Source("arrays of a script", _hash(given), given)


def _given(value: Any, names: Names) -> Given:
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{PLACE}: a masked array, whose mask would be lost. Try: its .data, or .filled(score)")
    if isinstance(value, Mapping):
        return of_mapping({str(image): _row(one) for image, one in value.items()}, PLACE, names)
    pandas = sys.modules.get("pandas")  # who has a frame has imported it
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return of_matrix(value.to_numpy(), value.index.tolist(), value.columns.tolist(), PLACE, names)
    return of_matrix(_plain(value), None, None, PLACE, names)


def _row(value: Any) -> Any:
    """Return what one image has as the reader of mappings takes it: scores in an array or a tensor as a list."""
    plain = _plain(value)
    return plain.tolist() if isinstance(plain, np.ndarray) and plain.ndim == 1 else plain


def _plain(value: Any) -> Any:
    """Return a tensor as an array, and a list of batches, tensors or arrays, as their rows, one after another."""
    several = isinstance(value, list | tuple) and len(value) > 0
    if several and all(isinstance(one, np.ndarray) and one.ndim == 2 for one in value):
        return np.concatenate(value) if len({one.shape[1] for one in value}) == 1 else value
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    if torch is None:
        return value
    if several and all(isinstance(one, torch.Tensor) for one in value):
        value = torch.cat([one if one.ndim > 1 else one[None] for one in value])
    if isinstance(value, torch.Tensor):
        whole = value.detach().to_dense().cpu()
        return (whole.to(torch.float64) if whole.is_floating_point() else whole).numpy()
    return value


def _hash(given: Given) -> str:
    """Return the SHA-256 of what was given: the same values with the same names have the same one."""
    hasher = hashlib.sha256()
    values: NDArray[np.floating]
    if isinstance(given, Dense):
        values, names = given.values, json.dumps([given.ids, given.labels])
    else:
        names = json.dumps([list(given.images), list(given.labels), sorted(given.named)])
        values = np.zeros(0) if given.scores is None else given.scores
    hasher.update(names.encode())
    # As float64, whatever they were given as.
    for rows in blocks(values):
        hasher.update(np.ascontiguousarray(values[rows], dtype=np.float64).data)
    return hasher.hexdigest()


def as_texts(value: Any, what: str) -> tuple[str, ...]:
    """Return ids or names that a script gives, in their order.

    Raises ``DataError`` for a single text, for a set, which has no order, for a mapping of names to places, whose
    order may be another than they say, and for what is no text or number.
    """
    if isinstance(value, Mapping) and any(place is not None for place in value.values()):
        raise DataError(
            f"{what}: found a mapping, must be a list in the order of rows or columns."
            " Try: sorted(names, key=names.get)"
        )
    if isinstance(value, str | set | frozenset) or not isinstance(value, Iterable):
        raise DataError(f"{what}: found a {type(value).__name__}, must be a list in the order of rows or columns")
    plain = _plain(value)
    found = plain.tolist() if isinstance(plain, np.ndarray) else list(plain)
    if wrong := [one for one in found if isinstance(one, bool) or not isinstance(one, str | int | np.integer)]:
        raise DataError(f"{what}: found {wrong[0]!r}, must be texts or whole numbers")
    return tuple(map(str, found))
