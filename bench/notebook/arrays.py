"""Arrays from anywhere, taken as they are or refused with the place: nothing is guessed or dropped in silence."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.records import BoolArray, FloatArray, ScoreKind

RANGES: dict[str, tuple[float, float]] = {"probability": (0.0, 1.0), "log_probability": (-np.inf, 0.0)}
"""Where scores of a kind lie; other kinds lie anywhere."""

SLACK = 1e-6
"""How far float32 arithmetic may have carried a score beyond its range."""


WAYS = {"toarray": "{}.toarray()", "astype": "{}.astype(float)", "__next__": "list({})"}
"""How numbers are made, by what a value has: of a sparse matrix, a frame that may hold NA, a generator."""


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return ``value`` as a NumPy array that shares its memory where it can.

    It may be nested lists, a NumPy array, a torch tensor on the CPU or a pandas frame. Raises ``DataError``.
    """
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    if torch is not None and isinstance(value, torch.Tensor):
        if value.device.type != "cpu":
            raise DataError(f"{name} is a tensor on {value.device}, allowed: on the CPU. Try: {name}.cpu()")
        try:
            return np.asarray(value.detach().numpy())
        except (TypeError, RuntimeError):  # bfloat16, sparse and other tensors that NumPy has no array for
            raise DataError(
                f"{name} is a tensor of {value.dtype} and layout {value.layout}, which NumPy lacks."
                f" Try: {name}.to_dense().float()"
            ) from None
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{name} is a masked array, whose mask would be lost. Try: {name}.data, and ignore= for pairs")
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # RuntimeError: a list of tensors that require gradients
        raise DataError(f"{name} is no array: {' '.join(str(error).split())}") from None


def as_mask(value: Any, name: str) -> BoolArray:
    """Return ``value``, (images, labels) of bool or exactly 0 and 1, as bool. Raises ``DataError`` with the place."""
    array = _matrix(value, name)
    if array.dtype == np.bool_:
        return array.view()
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} is {array.dtype}, must be bool, or numbers that are exactly 0 or 1")
    refuse_where((array != 0) & (array != 1), array, name, "bool, or exactly 0 or 1")
    return array.astype(np.bool_)


def as_scores(value: Any, kind: ScoreKind) -> FloatArray:
    """Return ``value``, (images, labels) numbers in the range of ``kind``, as float32.

    Raises ``DataError`` with the place of the first NaN, or of a number beyond the range or float32.
    """
    if kind == "label":
        return as_mask(value, "scores").astype(np.float32)
    array = _matrix(value, "scores")
    if array.dtype.kind not in "iuf":
        hint = ". Is it the truth?" if array.dtype == np.bool_ else ""
        raise DataError(f"scores are {array.dtype}, must be numbers{hint}")
    refuse_where(np.isnan(array), array, "scores", "numbers")
    if kind in RANGES:
        low, high = RANGES[kind]
        beyond = (array < low - SLACK) | (array > high + SLACK)
        other = "logit" if kind == "probability" else "margin"
        refuse_where(beyond, array, f"scores of kind '{kind}'", f"{low:g} to {high:g}. Try: kind='{other}'")
    with np.errstate(over="ignore"):
        narrow: FloatArray = array.astype(np.float32)
    refuse_where(np.isinf(narrow) & np.isfinite(array), array, "scores", "what float32 can hold")
    return narrow


def new_ties(value: Any, narrow: FloatArray) -> int:
    """Return how many different scores of a label, summed over labels, became equal ones as float32."""
    array = as_array(value, "scores")
    if array.dtype.itemsize <= narrow.dtype.itemsize and array.dtype.kind == "f":
        return 0
    columns = range(array.shape[1])
    return sum(len(np.unique(array[:, label])) - len(np.unique(narrow[:, label])) for label in columns)


def refuse_where(wrong: BoolArray, array: NDArray[Any], name: str, allowed: str) -> None:
    """Raise ``DataError`` that names the first place where ``wrong`` holds."""
    if wrong.any():
        image, label = (int(place) for place in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise DataError(f"{name}: found {array[image, label]} at image {image}, label {label}, allowed: {allowed}")


def _matrix(value: Any, name: str) -> NDArray[Any]:
    array = as_array(value, name)
    if array.dtype == np.object_:
        hint = next((f". Try: {way.format(name)}" for has, way in WAYS.items() if hasattr(value, has)), "")
        raise DataError(f"{name} is a {type(value).__name__} of Python objects, must be numbers{hint}")
    if array.ndim != 2:
        raise DataError(f"{name} has shape {array.shape}, must be (images, labels)")
    return array
