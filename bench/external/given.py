"""Predictions as somebody's file holds them: nothing is sorted, filled up or guessed yet."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.records import ScoreKind

KINDS: Mapping[str, ScoreKind] = {
    "probability": "probability",
    "logit": "logit",
    "score": "margin",
    "labels": "label",
}
"""What a user calls a kind of scores, and the kind they are stored as; ``labels``: label sets, 0 and 1."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A score of each label for each image: ``values`` (images, labels); ``labels`` of ``None``: unnamed.

    ``values`` are float64, or float32 as they were given, perhaps memory-mapped: each is the same number.
    ``place`` is how the file is called in errors, ``kind`` what it says of itself, one of ``KINDS`` or nothing.
    """

    place: str
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None
    values: NDArray[np.floating]
    kind: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.ids), self.values.shape[-1] if self.labels is None else len(self.labels))
        if self.values.ndim != 2 or self.values.shape != expected:
            raise DataError(
                f"{self.place}: scores are {self.values.shape}, must be {expected}: images by labels, as ids and labels"
            )


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of single (image, label) pairs; ``scores`` of ``None``: the pairs are those of label sets.

    ``images`` and ``labels`` are of one length. ``named`` are all images that the file names, with labels or without.
    ``beside`` are scores that stand beside the labels of label sets, as ``bench predict`` writes them.
    """

    place: str
    images: Sequence[str]
    labels: Sequence[str]
    scores: NDArray[np.float64] | None
    named: frozenset[str]
    kind: str = ""
    beside: NDArray[np.float64] | None = None


Given = Dense | Pairs

MOST_NESTED = 64
"""Lists in lists that are looked into for what is no number; NumPy has as many axes at most."""


@dataclass(frozen=True, slots=True)
class Source:
    """What predictions were read from: its name without folders, the SHA-256 of its bytes, and what it holds."""

    name: str
    sha256: str
    given: Given


@dataclass(frozen=True, slots=True)
class Names:
    """What a file does not say itself: image ids of its rows, label names of its columns, names of its category ids.

    ``known`` are the data set's labels: the columns of a table that are none of them hold ids. ``files`` are the names
    of the images' files by the image ids of an annotations file.
    """

    known: tuple[str, ...]
    ids: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    categories: Mapping[str, str] | None = None
    files: Mapping[str, str] | None = None


def matrix(values: Any, place: str) -> NDArray[np.floating]:
    """Return what ``numbers`` does; float32 stays as it is, which takes half as much, or nothing where it is mapped."""
    return values if isinstance(values, np.ndarray) and values.dtype == np.float32 else numbers(values, place)


def numbers(values: Any, place: str) -> NDArray[np.float64]:
    """Return ``values`` as float64, texts of numbers too. Raises ``DataError`` for what is none."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "biufUSO":
        raise DataError(f"{place}: scores are {values.dtype}, must be numbers")
    if isinstance(values, np.ndarray) and values.dtype.kind in "USO":
        _refuse_underscores(
            [cell.decode("latin-1") if isinstance(cell, bytes) else str(cell) for cell in values.ravel().tolist()],
            place,
        )
    try:
        # Each text on its own: an array of texts would take for each as much as the longest.
        return np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        pass
    for cell in _cells(values):
        try:
            float(cell)
        except (ValueError, TypeError, OverflowError):
            found = f"{cell!s:.60}" if not isinstance(cell, int) else "a number of hundreds of digits"
            raise DataError(f"{place}: found {found!r} where a score belongs, allowed: numbers") from None
    raise DataError(f"{place}: scores are no numbers, or rows of several lengths")


def _cells(values: Any) -> Iterator[Any]:
    """Yield what nested lists or an array hold, in order; what holds itself or is nested beyond reason ends early."""
    if isinstance(values, np.ndarray):
        yield from values.ravel()
        return
    waiting = [iter((values,))]
    while waiting:
        cell = next(waiting[-1], waiting)
        if cell is waiting:
            waiting.pop()
        elif isinstance(cell, list | tuple) and len(waiting) < MOST_NESTED:
            waiting.append(iter(cell))
        else:
            yield cell


def floats(values: Sequence[Any], place: str) -> NDArray[np.float64]:
    """Return what ``numbers`` does of a list, several times as fast where all are numbers or texts of them."""
    _refuse_underscores(values, place)
    try:
        return np.fromiter(map(float, values), np.float64, len(values))
    except (ValueError, TypeError, OverflowError):
        pass
    found = numbers(values, place)
    if found.ndim != 1:
        raise DataError(f"{place}: found a list where a score belongs, allowed: numbers")
    return found


def _refuse_underscores(values: Sequence[Any], place: str) -> None:
    """Raise ``DataError`` for a text as 0_5, of which Python makes 5: it leaves underscores between digits out."""
    kinds = {*map(type, values)}
    written = values if kinds == {str} else [one for one in values if isinstance(one, str)] if str in kinds else ()
    if "_" in "".join(written):
        odd = next(text for text in written if "_" in text)
        raise DataError(f"{place}: found '{odd:.60}' where a score belongs, allowed: numbers")


def texts(values: Any, what: str) -> tuple[str, ...]:
    """Return ids or names, texts or whole numbers, as texts. Raises ``DataError`` naming ``what`` for others."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iuUSO":
            kind = f"{values.dtype} of shape {values.shape}"
            raise DataError(f"{what} are {kind}, must be a list of texts or whole numbers")
        values = values.tolist()
    if not isinstance(values, list | tuple):
        raise DataError(f"{what}: found {values!r:.60}, must be a list of texts or whole numbers")
    try:
        found = [one.decode() if isinstance(one, bytes) else one for one in values]
    except UnicodeDecodeError:
        raise DataError(f"{what}: found bytes that are not UTF-8, must be texts or whole numbers") from None
    if wrong := [one for one in found if isinstance(one, bool) or not isinstance(one, (str, int))]:
        raise DataError(f"{what}: found {wrong[0]!r:.60}, must be texts or whole numbers")
    try:
        return tuple(map(str, found))
    except ValueError:
        raise DataError(f"{what}: found a number of thousands of digits, must be texts or whole numbers") from None


def in_form_of(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Return ``names``, each that is one of ``known`` in Unicode's other form, as a Mac lists files, as that has it.

    >>> in_form_of(["cafe\u0301", "dog"], {"caf\u00e9"})
    ['café', 'dog']
    """
    if all(name in known for name in names):
        return [*names]
    forms = {unicodedata.normalize("NFC", one): one for one in known}
    if len(forms) < len(known):
        return [*names]
    return [name if name in known else forms.get(unicodedata.normalize("NFC", name), name) for name in names]


def read_lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a text file of ids or names. Raises ``DataError`` for an empty one or an empty line."""
    lines = decoded(content_of(path), str(path)).splitlines()
    if not lines or not all(line.strip() for line in lines):
        raise DataError(f"{path}: an empty line or none at all, must have one name a line")
    return tuple(lines)


def content_of(path: Path) -> bytes:
    """Return a file's bytes. Raises ``DataError`` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def decoded(content: bytes, place: str) -> str:
    """Return a text file's content. Raises ``DataError`` where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: byte {error.start} is not UTF-8, must be a text in UTF-8") from None


def twice(items: Iterable[Hashable]) -> int:
    """Return the place of the first of ``items`` that stood before; -1 where none did.

    >>> twice(["a", "b", "a"]), twice("ab")
    (2, -1)
    """
    seen: set[Hashable] = set()
    for place, item in enumerate(items):
        if item in seen:
            return place
        seen.add(item)
    return -1
