"""Predictions in the order of a data set's images and labels: by id and by name, never by place."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, UsageError, unknown
from bench.evaluation.bits import row_blocks
from bench.external.given import KINDS, Dense, Given, Pairs, in_form_of, twice
from bench.records import FloatArray, Scores, Split
from bench.system.room import room_for
from bench.system.text import first_few

SLACK = 1e-6
"""How far float32 arithmetic may have carried a probability beyond 0 and 1."""

JOINED = ",|/+&\t\n "
"""Marks that stand between labels where ``;`` belongs."""

SIGMOID_OF_ONE = 1 / (1 + math.exp(-1))
"""The most that a sigmoid makes of a probability; of none it makes less than a half."""


def _number(text: str) -> str:
    digits = re.search("[0-9]+$", PurePosixPath(text).stem)
    return digits[0].lstrip("0") or "0" if digits else text


MATCHES: Mapping[str, Callable[[str], str]] = {
    "exact": lambda text: text,
    "name": lambda text: PurePosixPath(text.replace("\\", "/")).name,
    "stem": lambda text: PurePosixPath(text.replace("\\", "/")).stem,
    "number": _number,
}
"""By what an id is found: itself; a path's file name; that without its ending; the number at its end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How predictions are to be read, as the user stated it: nothing here is found out from the values.

    ``kind`` is one of ``KINDS``. ``match`` says by what ids are found. ``absent`` is the score of a pair that a file of
    single pairs does not name; ``None``: each must be there. ``largest``: of several scores of a pair, as of boxes, the
    largest counts; else a pair must not stand twice.
    """

    kind: str
    match: str = "exact"
    absent: float | None = None
    largest: bool = False

    def __post_init__(self) -> None:
        if str(self.kind) not in KINDS:
            raise unknown(
                "kind of scores", str(self.kind), KINDS, "What the scores are is not guessed. Try: --kind probability"
            )
        if isinstance(self.absent, bool) or not isinstance(self.absent, numbers.Real | None):
            raise UsageError(f"--absent: found {self.absent!r}, allowed: numbers")
        if self.absent is not None and (math.isnan(self.absent) or (self.kind == "labels" and self.absent)):
            allowed = "0, as labels that a set leaves out are not in it" if self.kind == "labels" else "numbers"
            raise UsageError(f"--absent: found {self.absent:g}, allowed: {allowed}")
        if self.kind == "probability" and not 0.0 <= (self.absent or 0.0) <= 1.0:
            raise UsageError(f"--absent: found {self.absent:g}, allowed: 0 to 1, as of probabilities. Try: --absent 0")
        if str(self.match) not in MATCHES:
            raise unknown("way to match ids", str(self.match), MATCHES)

    def in_words(self) -> str:
        """Return what is not as usual, as options; empty where nothing is."""
        parts = [f"--match {self.match}"] if self.match != "exact" else []
        parts += [] if self.absent is None else [f"--absent {self.absent:g}"]
        return " ".join([*parts, *(["--several max"] if self.largest else [])])


@dataclass(frozen=True, slots=True)
class Aligned:
    """Scores of a split in its order, and what a reader of them must know."""

    scores: Scores
    notes: tuple[str, ...] = ()


def aligned(
    given: Given, split: Split, reading: Reading, others: Mapping[str, Collection[str]], room: Path | None = None
) -> Aligned:
    """Return the scores that ``given`` holds of the images of ``split``; large ones lie in the folder ``room``.

    ``others`` are the ids of the data set's other parts, by name. Raises ``DataError`` for images or labels that lack,
    stand twice or are not the split's, and for scores that are none of their kind.
    """
    if given.kind and given.kind != reading.kind:
        raise UsageError(
            f"{given.place}: says that its scores are of kind '{given.kind}', --kind says '{reading.kind}'"
        )
    of = _of_dense if isinstance(given, Dense) else _of_pairs
    values = of(given, split, reading, others)  # type: ignore[arg-type]
    narrow: FloatArray = room_for(split.truth.shape, np.float32, room)
    found, beyond, same, of_images = Found(), False, True, 0
    for rows in row_blocks(*narrow.shape):
        block = values.of_rows(rows)
        found.look(block, rows.start, reading.kind)
        with np.errstate(over="ignore", under="ignore"):
            narrow[rows] = block
        beyond |= bool((np.isinf(narrow[rows]) & np.isfinite(block)).any())
        if not (narrow[rows] == block).all():
            same, of_images = False, of_images + new_ties_of_images(block, narrow[rows])
    _check_values(found, given.place, split, reading.kind)
    if beyond:
        raise DataError(f"{given.place}: scores beyond {np.finfo(np.float32).max:.1e}, which float32 cannot hold")
    merged = 0 if same else _new_ties(values, narrow)
    notes = [f"{merged:,} scores equal another one of their label as float32, and did not before; they count as ties"]
    notes = (notes if merged else []) + ([TIED.format(of_images)] if of_images else [])
    notes += values.notes
    if reading.kind == "probability" and found.smallest >= 0.5 and found.largest <= SIGMOID_OF_ONE + SLACK:
        notes.append("every probability is from 0.5 to 0.731: was a sigmoid applied twice? 0.5 is no threshold then")
    if reading.kind == "logit" and found.largest <= 0:
        notes.append(
            "every logit is 0 or less, so none says that its label is there: are they logarithms of probabilities?"
            " Then exp of them, --kind probability"
        )
    if isinstance(given, Dense) and narrow.shape[0] == narrow.shape[1]:
        notes.append(
            f"as many images as labels, {len(narrow):,}: each row was read as an image, each column as a label"
        )
    return Aligned(Scores(split.ids, narrow, KINDS[reading.kind]), tuple(notes))


@dataclass(frozen=True, slots=True)
class Ordered:
    """``given`` scores in a split's order: ``rows`` and ``columns`` are where each image's and each label's lie.

    ``notes`` are on pairs without a score.
    """

    given: NDArray[np.floating]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def of_rows(self, some: slice) -> NDArray[np.floating]:
        """Return the scores of some images, (images, labels)."""
        found = self.given[self.rows[some]]
        return found if (np.diff(self.columns) == 1).all() else found[:, self.columns]

    def of_label(self, label: int) -> NDArray[np.floating]:
        """Return the scores of one label, in whichever order of the images."""
        return self.given[:, self.columns[label]]


def _of_dense(given: Dense, split: Split, reading: Reading, others: Mapping[str, Collection[str]]) -> Ordered:
    rows = _rows(given.ids, given.place, split, reading, others)
    if (again := twice(rows)) >= 0:
        raise DataError(f"{given.place}: image id '{given.ids[again]}' stands twice; each image must stand once")
    _check_all({*rows}, given.place, split, "no row")
    if given.labels is None:
        raise DataError(
            f"{given.place}: does not say which label each of its {given.values.shape[1]} columns is, and their order"
            " is none. Try: --labels FILE, their names in that order, one a line"
        )
    columns = _columns(given.labels, given.place, split)
    if (again := twice(columns)) >= 0:
        raise DataError(f"{given.place}: label '{given.labels[again]}' stands twice")
    if lacking := [split.labels[place] for place in sorted({*range(len(split.labels))} - {*columns})]:
        raise DataError(f"{given.place}: no scores of {_some(lacking, len(split.labels), 'labels')}")
    return Ordered(np.asarray(given.values), np.argsort(rows), np.argsort(columns))


def _of_pairs(given: Pairs, split: Split, reading: Reading, others: Mapping[str, Collection[str]]) -> Ordered:
    scores = given.scores if reading.kind == "labels" or given.beside is None else given.beside
    every = len(given.named) * len(split.labels)
    few = given.beside is not None and reading.absent is None and len(given.beside) < every
    if reading.kind != "labels" and (scores is None or few):
        hint = f", or bench predict --json --top-k {len(split.labels)}" if few else ""
        raise DataError(
            f"{given.place}: holds label sets and no score of each label, --kind says '{reading.kind}'."
            f" Try: --kind labels{hint}"
        )
    names = sorted(given.named)
    row_of = dict(zip(names, _rows(names, given.place, split, reading, others), strict=True))
    if len(set(row_of.values())) < len(row_of):
        exact = reading.match == "exact"  # then they are one id in both of Unicode's forms
        hint = "one id for each" if exact else "--match exact"
        raise DataError(f"{given.place}: two of its ids are of one image by --match {reading.match}. Try: {hint}")
    if reading.absent is None:
        hint = ". Try: --absent 0, if the others have no label" if reading.kind == "labels" else ""
        _check_all({*row_of.values()}, given.place, split, "nothing", hint)
    known = list(dict.fromkeys(given.labels))
    column_of = dict(zip(known, _columns(known, given.place, split), strict=True))
    rows = np.array([row_of[image] for image in given.images], dtype=np.int64)
    columns = np.array([column_of[label] for label in given.labels], dtype=np.int64)
    scores = np.ones(len(rows)) if scores is None else scores
    if np.isnan(scores).any():
        place = int(np.isnan(scores).argmax())
        raise DataError(f"{given.place}: image '{given.images[place]}', label '{given.labels[place]}': found NaN")
    values = np.full(split.truth.shape, -np.inf)
    count = np.zeros(split.truth.shape, dtype=np.int64)
    np.add.at(count, (rows, columns), 1)
    if not reading.largest and (count > 1).any():
        row, column = (int(place) for place in np.argwhere(count > 1)[0])
        raise DataError(
            f"{given.place}: label '{split.labels[column]}' stands {count[row, column]} times for image"
            f" '{split.ids[row]}'. Try: --several max, if the largest counts, as of boxes"
        )
    np.maximum.at(values, (rows, columns), scores)
    lacking, notes = count == 0, _filled(given, split, reading, {*row_of.values()}, values[count > 0])
    if reading.kind == "labels":
        values[lacking] = 0.0
    elif lacking.any() and reading.absent is None:
        row, column = (int(place) for place in np.argwhere(lacking)[0])
        lowest = (
            "0, or the score that they have" if scores.min(initial=0.0) >= 0 else "SCORE, the lowest that they may have"
        )
        raise DataError(
            f"{given.place}: {int(lacking.sum()):,} of {lacking.size:,} pairs have no score, as image"
            f" '{split.ids[row]}', label '{split.labels[column]}'. Try: --absent {lowest}"
        )
    elif reading.absent is not None:
        values[lacking] = reading.absent
    return Ordered(values, np.arange(len(split.ids)), np.arange(len(split.labels)), notes)


def _filled(
    given: Pairs, split: Split, reading: Reading, rows: Collection[int], scored: NDArray[np.float64]
) -> tuple[str, ...]:
    """Return notes on what ``--absent`` stands for: lower scores, images that are not there, labels without a score.

    ``rows`` are the images that are there, ``scored`` their scores.
    """
    if reading.absent is None:
        return ()
    notes, known = [], {*in_form_of([*{*given.labels}], split.labels)}
    if reading.kind != "labels" and (lower := int((scored < reading.absent).sum())):
        notes.append(f"pairs without a score rank above {lower:,} scores that are lower; is it the lowest?")
    if gone := [one for row, one in enumerate(split.ids) if row not in rows]:
        notes.append(f"nothing is there of {_some(gone, len(split.ids), 'images')}. Was each of them predicted?")
    if reading.kind != "labels" and (never := [label for label in split.labels if label not in known]):
        notes.append(f"no image has a score of {_some(never, len(split.labels), 'labels')}")
    return tuple(f"--absent {reading.absent:g}: {note}" for note in notes)


def _rows(
    ids: Sequence[str], place: str, split: Split, reading: Reading, others: Mapping[str, Collection[str]]
) -> list[int]:
    """Return the row of each of ``ids`` in ``split``. Raises ``DataError`` for one that is none of its images."""
    key = MATCHES[reading.match]
    row_of = {key(one): row for row, one in enumerate(split.ids)}
    if len(row_of) < len(split.ids):
        raise DataError(
            f"--match {reading.match}: two images of {_part(split)} are then called alike. Try: --match exact"
        )
    found = [row_of.get(name, -1) for name in in_form_of([key(one) for one in ids], row_of)]
    if strange := [one for one, row in zip(ids, found, strict=True) if row < 0]:
        elsewhere = next((part for part, held in others.items() if strange[0] in held), "")
        where = f", which is of {elsewhere}" if elsewhere else ""
        raise DataError(
            f"{place}: {len(strange):,} of {len(ids):,} ids are no image of {_part(split)}, as '{strange[0]}'{where};"
            f" its ids are as '{split.ids[0]}'{_remedy(ids, split, bool(elsewhere))}"
        )
    return found


def _remedy(ids: Sequence[str], split: Split, elsewhere: bool) -> str:
    """Return what would find every one of ``ids``, where that names no two images alike."""
    if elsewhere:
        return ". Try: a file of these images alone"
    for name, key in MATCHES.items():
        known, asked = {key(one) for one in split.ids}, {key(one) for one in ids}
        if len(known) == len(split.ids) and len(asked) == len(set(ids)) and asked <= known:
            counted = any({*ids} == {*map(str, range(first, first + len(ids)))} for first in (0, 1))
            doubt = ", if these are the numbers in images' names; of an annotations file's images, --ids FILE"
            return f". Try: --match {name}{doubt if counted else ''}"
    return ". See: bench data export"


def _check_all(rows: Collection[int], place: str, split: Split, what: str, hint: str = "") -> None:
    if len(rows) < len(split.ids):
        lacking = [one for row, one in enumerate(split.ids) if row not in rows]
        images = f"{len(lacking):,} of the {len(split.ids):,} images of {_part(split)}, as '{lacking[0]}'"
        raise DataError(f"{place}: {what} of {images}; every image must be there{hint}")


def _columns(labels: Sequence[str], place: str, split: Split) -> list[int]:
    """Return the column of each of ``labels``. Raises ``DataError`` with the nearest names for one that is none."""
    column_of = {label: column for column, label in enumerate(split.labels)}
    labels = in_form_of(labels, column_of)
    for label in labels:
        if label not in column_of:
            for mark in JOINED:
                if mark in label and {part.strip() for part in label.split(mark)} <= column_of.keys():
                    raise DataError(f"{place}: '{label}' is several labels. Try: ; between them, in place of {mark!r}")
            error = unknown(f"label of {split.dataset}", label, split.labels)
            raise DataError(f"{place}: {error if len(split.labels) <= 30 else str(error).partition(' allowed:')[0]}")
    return [column_of[label] for label in labels]


@dataclass(slots=True)
class Found:
    """What of scores that are looked at in blocks may be wrong: by what is allowed, the first place and its value."""

    wrong: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    only_sets: bool = True
    only_signs: bool = True
    smallest: float = math.inf
    largest: float = -math.inf

    def look(self, values: NDArray[np.floating], first: int, kind: str) -> None:
        """Look at the scores of some images, of which the first is image ``first``."""
        sets = (values == 0) | (values == 1)
        for allowed, wrong in (
            (NUMBER, np.isnan(values)),
            (SETS, ~sets if kind == "labels" else None),
            (PROBABILITIES, (values < -SLACK) | (values > 1 + SLACK) if kind == "probability" else None),
        ):
            if allowed not in self.wrong and wrong is not None and wrong.any():
                row, column = (int(one) for one in np.argwhere(wrong)[0])
                self.wrong[allowed] = first + row, column, float(values[row, column])
        self.only_sets &= bool(sets.all())
        self.only_signs = self.only_signs and bool((np.abs(values) == 1).all())
        self.smallest = min(self.smallest, float(values.min(initial=math.inf)))
        self.largest = max(self.largest, float(values.max(initial=-math.inf)))


NUMBER = "a number"
SETS = "0 or 1, as of label sets. Try: --kind probability"
PROBABILITIES = "0 to 1, as of probabilities"


def _check_values(found: Found, place: str, split: Split, kind: str) -> None:
    """Raise ``DataError`` with image and label for a score that is none of ``kind``."""
    if found.only_signs and found.smallest < 0:
        raise DataError(f"{place}: every score is 1 or -1, as of label sets. Try: 0 in place of -1, and --kind labels")
    for allowed in (NUMBER, SETS, PROBABILITIES):
        if allowed in found.wrong:
            row, column, value = found.wrong[allowed]
            where = f"image '{split.ids[row]}', label '{split.labels[column]}'"
            hint = _no_probabilities(found) if allowed == PROBABILITIES else ""
            raise DataError(f"{place}: {where}: found {value:g}, must be {allowed}{hint}")
    if kind != "labels" and found.only_sets:
        raise DataError(f"{place}: every score is 0 or 1, as of label sets, --kind says '{kind}'. Try: --kind labels")
    if kind == "logit" and found.smallest >= 0:
        within = "lies in 0 to 1" if found.largest <= 1 else "is 0 or more"
        other = "--kind probability, or " if found.largest <= 1 else ""
        raise DataError(
            f"{place}: every score {within}, so as logits all labels would be likely."
            f" Try: {other}--kind score, if they only rank"
        )


def _no_probabilities(found: Found) -> str:
    """Return what to do with scores that were called probabilities and are none."""
    if found.smallest >= -SLACK:
        return ". Try: a hundredth of them, if they are percentages, or --kind score, if they only rank"
    return ". Try: --kind logit" + (", or exp of them, if they are logarithms" if found.largest <= 0 else "")


def _new_ties(values: Ordered, narrow: FloatArray) -> int:
    """Return how many different scores of a label, over all labels, became equal ones as float32."""
    return sum(len(np.unique(values.of_label(n))) - len(np.unique(narrow[:, n])) for n in range(narrow.shape[1]))


TIED = "{:,} scores equal another one of their image as float32, and did not before; the lower label goes first"


def new_ties_of_images(values: NDArray[np.number], narrow: FloatArray) -> int:
    """Return how many different scores of an image, summed over images, became equal ones as float32."""
    if values.dtype.kind == "f" and values.dtype.itemsize <= narrow.dtype.itemsize:
        return 0
    before, after = (np.sort(scores, axis=1) for scores in (values, narrow))
    return int((after[:, 1:] == after[:, :-1]).sum()) - int((before[:, 1:] == before[:, :-1]).sum())


def _part(split: Split) -> str:
    return f"{split.dataset}/{split.name}"


def _some(names: Sequence[str], total: int, what: str) -> str:
    shown = first_few([f"'{name}'" for name in names], 5)
    return f"{len(names):,} of {total:,} {what}: {shown}"
