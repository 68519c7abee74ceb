"""Labels as columns and shards hold them: names, numbers, or 0 and 1 for each label; one value, or a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench import DataError, Option, OptionValue
from bench_datasets.label_lists import separator
from bench_datasets.own_images import Part

LABELS_ARE = Option(
    "labels_are",
    "auto",
    "what the numbers of a labels column are: each a label's number, or 0 and 1 for each label",
    choices=("auto", "numbers", "multi-hot"),
)

SEPARATOR = Option("separator", ";", "what separates label names in one text")

Place = Callable[[int], str]


def named(
    parts: Mapping[str, Part], names: Sequence[str], options: Mapping[str, OptionValue], *, sure: bool = False
) -> dict[str, Part]:
    """Return ``parts``, whose labels are values as they were read, with the names of each image's labels.

    ``names`` are those that numbers stand for; where there are none, a number is its own name. A text is split at
    the separator; ``None`` and an empty list hold no label. Numbers are multi-hot where all of all parts are 0 or 1, in
    lists of one length, and one list holds a value twice; not where they are ``sure`` to be labels' numbers. Raises
    ``DataError`` with the place of a value of another kind and of a number that has no name.
    """
    between, labels_are = separator(options), str(options["labels_are"])
    lists = {
        key: [_as_list(value, between, part.place, row) for row, value in enumerate(part.labels)]
        for key, part in parts.items()
    }
    everything = [entries for found in lists.values() for entries in found]
    if labels_are == "multi-hot" or (labels_are == "auto" and not sure and _is_multi_hot(everything)):
        called = names or [str(number) for number in range(max(map(len, everything), default=0))]
        return {
            key: replace(part, labels=_from_multi_hot(lists[key], called, part.place)) for key, part in parts.items()
        }
    return {
        key: replace(
            part,
            labels=[
                tuple(dict.fromkeys(_name(entry, names, part.place, row) for entry in entries))
                for row, entries in enumerate(lists[key])
            ],
        )
        for key, part in parts.items()
    }


def _as_list(value: object, between: str, place: Place, row: int) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str):
        return [name.strip() for name in value.split(between) if name.strip()]
    if isinstance(value, bool | int):
        return [value]
    if isinstance(value, list):
        return value
    raise DataError(f"{place(row)}: labels are {value!r:.60}, expected names or numbers")


def _is_multi_hot(lists: Sequence[list[object]]) -> bool:
    filled = [entries for entries in lists if entries]
    if not filled or not all(entry in (0, 1) for entries in filled for entry in entries):
        return False
    if isinstance(filled[0][0], bool | float):
        return True
    if not any(len(set(entries)) < len(entries) for entries in filled):
        return False
    if len({len(entries) for entries in filled}) > 1:
        raise DataError(
            "the labels are lists of 0 and 1, of different lengths. Try: --set dataset.labels_are=numbers where each is"
            " a label's number, or =multi-hot to see the row that is too short"
        )
    return True


def _from_multi_hot(lists: Sequence[list[object]], names: Sequence[str], place: Place) -> list[tuple[str, ...]]:
    for row, entries in enumerate(lists):
        if entries and len(entries) != len(names):
            raise DataError(f"{place(row)}: {len(entries)} values for {len(names)} labels")
        if strange := [entry for entry in entries if entry not in (0, 1)]:
            raise DataError(f"{place(row)}: found {strange[0]!r:.40}, allowed: 0 and 1 for each label")
    return [tuple(name for name, entry in zip(names, entries, strict=False) if entry) for entries in lists]


def _name(entry: object, names: Sequence[str], place: Place, row: int) -> str:
    if isinstance(entry, str) and entry.strip():
        return entry.strip()
    if isinstance(entry, int) and not isinstance(entry, bool):
        if not names and entry >= 0:
            return str(entry)
        if 0 <= entry < len(names):
            return names[entry]
        allowed = f"0 to {len(names) - 1}" if names else "0 or more"
        raise DataError(f"{place(row)}: label number {entry}, allowed: {allowed}")
    raise DataError(f"{place(row)}: label {entry!r:.60}, expected a name or a whole number")
