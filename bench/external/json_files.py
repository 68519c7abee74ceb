"""Predictions in JSON: results as of COCO's API, a mapping by image id, or a matrix with its ids and labels."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.external.arrays import MEMBERS, of_matrix
from bench.external.given import (
    Dense,
    Given,
    Names,
    Pairs,
    content_of,
    decoded,
    floats,
    numbers,
    read_lines,
    texts,
    twice,
)
from bench.external.tables import IMAGE, PREDICTED, of_predicted, of_sets

ALLOWED = (
    "a list of {image_id, category_id, score} as of COCO's API, a list of {image, label, score}, a mapping of image id"
    " to {label: score}, to scores in the order of --labels or to a list of labels, {ids, labels, scores}, or what"
    " bench predict writes"
)


def read_json(content: bytes, place: str, names: Names) -> Given:
    """Return what a JSON file holds. Raises ``DataError`` for anything that is not one of ``ALLOWED``."""
    found = parsed(content, place)
    if isinstance(found, Mapping) and isinstance(found.get("scores"), list) and {*found} <= {*MEMBERS}:
        ids, labels, kind = (found.get(name) for name in ("ids", "labels", "kind"))
        return of_matrix(found["scores"], ids, labels, place, names, kind="" if kind is None else kind)
    if isinstance(found, Mapping) and found:
        return of_mapping(found, place, names)
    if isinstance(found, list) and found and all(isinstance(entry, Mapping) for entry in found):
        return _of_results(found, place, names)
    raise DataError(f"{place}: allowed: {ALLOWED}")


def read_json_lines(content: bytes, place: str, names: Names) -> Given:
    """Return what a file of an object on each line holds, as ``read_json`` does of a list of them."""
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    return read_json(b"[" + b",\n".join(line for line in lines if line.strip()) + b"]", place, names)


def parsed(content: bytes, place: str) -> Any:
    """Return the value in JSON. Raises ``DataError`` for a name that stands twice in one object, NaN, and no JSON."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            again = pairs[twice(name for name, _ in pairs)][0]
            raise DataError(f"{place}: '{again}' stands twice in one object")
        return found

    def no_number(text: str) -> Any:
        raise DataError(f"{place}: found {text}, which is no number. Scores must be numbers")

    try:
        return json.loads(decoded(content, place), object_pairs_hook=unique, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: no JSON: {error}") from None


def of_mapping(found: Mapping[str, Any], place: str, names: Names) -> Given:
    """Return predictions by image id: {label: score}, scores in the order of the labels given, or label sets."""
    values = list(found.values())
    if all(isinstance(value, Mapping) for value in values):
        images = [image for image, value in found.items() for _ in value]
        labels = [label for value in values for label in value]
        scores = floats([score for value in values for score in value.values()], place)
        return Pairs(place, images, labels, scores, frozenset(found))
    if all(isinstance(value, Sequence | set | frozenset) and not isinstance(value, str) for value in values):
        if all(isinstance(one, str) for value in values for one in value):
            return of_sets(place, dict(found))
        if len(set(map(len, values))) == 1:
            return Dense(place, tuple(found), names.labels, numbers([list(value) for value in values], place))
    kinds = ", ".join(sorted({type(value).__name__ for value in values}))
    raise DataError(
        f"{place}: its images have values of several shapes, or of none that counts: {kinds}. Allowed: {ALLOWED}"
    )


def _of_results(found: Sequence[Mapping[str, Any]], place: str, names: Names) -> Given:
    fields = {name for entry in found for name in entry}
    if all(entry.keys() == PREDICTED for entry in found):
        images, errors = ([entry[name] for entry in found] for name in ("image", "error"))
        sets = of_predicted(texts(images, f"{place}: images"), [entry["labels"] for entry in found], errors, place)
        return replace(sets, beside=_beside(found, place))
    lacking = next((name for entry in found for name in fields & {"score"} if name not in entry), "")
    image = [name for name in IMAGE if name in fields]
    label = [name for name in ("category_id", "category", "label") if name in fields]
    if len(image) != 1 or len(label) != 1 or lacking:
        what = f"some entries have no '{lacking}'" if lacking else f"its entries have {', '.join(sorted(fields))}"
        raise DataError(f"{place}: {what}. Allowed: {ALLOWED}")
    try:
        images = [_text(entry[image[0]]) for entry in found]
        labels = [_text(entry[label[0]]) for entry in found]
    except (KeyError, TypeError) as error:
        raise DataError(f"{place}: an entry has no usable {error}. Allowed: {ALLOWED}") from None
    if label[0] == "category_id":
        labels = _names(labels, place, names)
    if names.files is not None:
        if strange := next((one for one in images if one not in names.files), ""):
            raise DataError(f"{place}: image id '{strange}' is not among those of --ids")
        images = [names.files[one] for one in images]
    scores = floats([entry["score"] for entry in found], place) if "score" in fields else None
    return Pairs(place, images, labels, scores, frozenset(images))


def _beside(found: Sequence[Mapping[str, Any]], place: str) -> NDArray[np.float64] | None:
    """Return the scores beside the labels of label sets, one for each; ``None`` where some are not there."""
    for entry in found:
        labels, scores = entry["labels"], entry["scores"]
        whole = isinstance(labels, list) and isinstance(scores, list) and len(labels) == len(scores)
        if not whole or None in scores:  # an infinite one, which JSON cannot hold
            return None
    return floats([score for entry in found for score in entry["scores"]], place)


def _names(categories: Sequence[str], place: str, names: Names) -> list[str]:
    if names.categories is None:
        raise DataError(
            f"{place}: says categories by their ids, whose names it does not say."
            " Try: --labels FILE, an annotations file of COCO with 'categories'"
        )
    for category in categories:
        if category not in names.categories:
            raise DataError(f"{place}: category_id {category} is not among those of --labels")
    return [names.categories[category] for category in categories]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r}, ids and labels are texts or whole numbers")
    return str(value)


def read_ids(path: Path) -> tuple[tuple[str, ...] | None, dict[str, str] | None]:
    """Return image ids in the order of rows, or file names by image id, from a text or JSON file.

    One id a line; or COCO's ``images`` of an annotations file.
    """
    if path.suffix.lower() != ".json":
        return read_lines(path), None
    found = parsed(content_of(path), str(path))
    entries = found.get("images") if isinstance(found, Mapping) else None
    try:
        named = {_text(entry["id"]): _text(entry["file_name"]) for entry in entries or ()}
    except (KeyError, TypeError):
        named = {}
    if not named or len(named) < len(entries or ()):
        raise DataError(f"{path}: must have 'images' with an id and a file_name each, each id once")
    return None, named


def read_labels(path: Path) -> tuple[tuple[str, ...] | None, dict[str, str] | None]:
    """Return label names in the order of columns, or by category id, from a text or JSON file.

    One name a line; or a JSON list of names; or COCO's ``categories``, alone or in an annotations file.
    """
    if path.suffix.lower() != ".json":
        return read_lines(path), None
    found = parsed(content_of(path), str(path))
    entries = found.get("categories") if isinstance(found, Mapping) else found
    if isinstance(entries, list) and entries and all(isinstance(entry, str) for entry in entries):
        return tuple(entries), None
    try:
        named = {_text(entry["id"]): str(entry["name"]) for entry in entries or ()}
    except (KeyError, TypeError):
        named = {}
    if not named or len(named) < len(entries or ()):
        raise DataError(
            f"{path}: must be a list of names, or have 'categories' with an id and a name each, each id once"
        )
    return None, named
