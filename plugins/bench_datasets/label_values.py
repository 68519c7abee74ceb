"""Labels as columns, cells and shards hold them: names, numbers, or 0 and 1 for each label; one value, or a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from bench import DataError, Option, OptionValue
from bench_datasets.cells import (
    IGNORE,
    NUMBER,
    VALUES,
    YES,
    canonical,
    looks_like_a_list,
    meanings,
    parse_list,
    truth,
    with_meaning,
)
from bench_datasets.joined_names import split_at
from bench_datasets.label_lists import separator
from bench_datasets.label_names import KEEP_ODD, NO_LABEL, ODD_NAMES, look, meaning_none
from bench_datasets.own_images import Part
from bench_datasets.typed import as_typed

LABELS_ARE = Option(
    "labels_are",
    "auto",
    "what labels hold: names, each a label's number, or 0 and 1 for each label; auto refuses what may be either",
    choices=("auto", "names", "numbers", "multi-hot"),
)
SEPARATOR = Option(
    "separator", ";", "what separates label names in one text: ; , | or another, or blank, tab, line", blanks=True
)
LABEL_OPTIONS = (LABELS_ARE, SEPARATOR, VALUES, NO_LABEL, ODD_NAMES)
"""How labels are read, wherever they are kept."""

ASK = "Try: --set dataset.labels_are=multi-hot where they are 0 and 1 for each label"

FEW_VALUES = 3
"""Different texts that may say yes, no and not sure for each label."""

OWN_NUMBER = re.compile(r"0*(\d{1,18})\s*[\s:,;.)=|-]\s*\D.*|.*\D[,:\t]\s*0*(\d{1,18})", re.DOTALL)
"""A line of a list that numbers its names by itself: 3 dog, 3: dog, or dog,3."""

HEADS = frozenset(
    ["id", "index", "idx", "number", "name", "names", "label", "labels", "class", "classes", "category", "categories"]
)
"""Words of which the names of the columns of a list of labels are, as in class_id,class_name."""

LONGEST_NUMBER = 20
"""Letters of a text that may be a label's number."""

Place = Callable[[int], str]


def named(
    parts: Mapping[str, Part],
    names: Sequence[str],
    options: Mapping[str, OptionValue],
    *,
    sure: bool = False,
    objects: bool = False,
) -> dict[str, Part]:
    """Return ``parts``, whose labels are values as they were read, with the names of each image's labels.

    ``names`` are those that numbers stand for; where there are none, a number is its own name. A text is split at
    the separator, or is a list as Python or JSON writes it; ``None`` and an empty list hold no label. Numbers that
    may be labels or 0 and 1 for each label are refused, unless the option ``labels_are`` tells, or they are ``sure`` to
    be labels' numbers, as those of ``objects`` are whatever they look like. Raises ``DataError`` with the place of a
    value of another kind and of a number without a name.
    """
    between, kind = separator(options), str(options["labels_are"])
    lists = _lists(parts, between)
    parts = {key: _nothing_noted(part) for key, part in parts.items()}
    rows = [(part.place, row, entries) for key, part in parts.items() for row, entries in enumerate(lists[key])]
    asked = kind != "auto"
    if not asked:
        if sure and not objects and _looks_multi_hot(rows, len(names)):
            raise _ask(rows)
        single = not any(isinstance(value, list | tuple | str) for part in parts.values() for value in part.labels)
        kind = "numbers" if sure or single else _kind(rows, len(names))
    convert: Callable[[object], object] = CONVERT[kind] if asked and kind in CONVERT else lambda entry: entry
    by_number = kind == "multi-hot" or any(type(convert(entry)) is int for _, _, entries in rows for entry in entries)
    if (odd := _not_numbered(names)) and by_number and not sure and options.get("odd_names", "error") == "error":
        raise DataError(f"{odd} or, if it is as you mean it: {KEEP_ODD}")
    if kind == "multi-hot":
        # As many labels as the longest list of any part has: a part of shorter lists would be read from the left.
        longest = max((len(entries) for _, _, entries in rows), default=0)
        called = [*filter(None, names)] if longest < len(names) else names or list(map(str, range(longest)))
        parts = {key: _multi_hot(part, lists[key], called, options, told=asked) for key, part in parts.items()}
        first = next(iter(parts))
        note = () if names else ("labels have no names but numbers: no labels.txt",)
        return parts | {first: replace(parts[first], notes=(*parts[first].notes, *note))}
    none = meaning_none(options)
    lists = {key: [list(filter(_is_filled, entries)) for entries in of_part] for key, of_part in lists.items()}
    found = {
        key: replace(
            part,
            labels=[
                tuple(dict.fromkeys(_name(convert(one), names, none, part.place, row) for one in entries))
                for row, entries in enumerate(lists[key])
            ],
        )
        for key, part in parts.items()
    }
    if not (asked or names):
        _refuse_mixed([(place, row, list(filter(_is_filled, entries))) for place, row, entries in rows])
        _refuse_numbers_of_one_part(parts, lists)
    first = next(iter(found))
    if names and by_number:
        found[first] = replace(found[first], notes=(*found[first].notes, *_from_one(found, names[0])))
    return found


def _not_numbered(names: Sequence[str]) -> str:
    """Return a message where the lines of a list do not number its names; empty where they do.

    That is where one is a comment, or the first a column's name, and where all names come with numbers of their own.
    """
    comments = [name for name in names if name.startswith("#")]
    comments = comments if len(comments) < len(names) else []
    heads = [name for name in names[:1] if {*re.split(r"[,;\t| ]", look(name))} <= HEADS]
    if odd := next(iter(comments + heads), ""):
        return (
            f"labels.txt: '{odd}' would be label number {names.index(odd)}, and is perhaps no label: labels are"
            " numbered by lines. Try: take the line out,"
        )
    found = [match and int(match[1] or match[2]) for match in map(OWN_NUMBER.fullmatch, names)]
    if len(names) < 2 or None in found or len({*found}) < len(found) or found == list(range(len(found))):
        return ""
    line, number = next((line, number) for line, number in enumerate(found) if line != number)
    return (
        f"labels.txt: '{names[line]}' would be label number {line}, not {number}: labels are numbered by lines, from 0."
        " Try: names alone, each in the line of its number,"
    )


def _from_one(parts: Mapping[str, Part], name: str) -> tuple[str, ...]:
    """Return a note where no image has the label of number 0, ``name``, as where a tool numbers them from 1."""
    if any(name in labels for part in parts.values() for labels in part.labels):
        return ()
    return (f"no image has label number 0, '{name}': labels are numbered from 0, not from 1",)


def _refuse_mixed(rows: Sequence[tuple[Place, int, list[object]]]) -> None:
    """Raise ``DataError`` where some labels are names and others numbers, which would be labels of their own."""
    first: dict[bool, tuple[Place, int, object]] = {}
    for place, row, entries in rows:
        for entry in entries:
            text = isinstance(entry, str)
            if (text and not NUMBER.fullmatch(str(entry).strip())) or type(entry) is int:
                first.setdefault(text, (place, row, entry))
    if len(first) > 1:
        (place, row, number), (of_name, at, name) = first[False], first[True]
        raise DataError(
            f"{place(row)}: label number {number}, while {name!r:.60} is a name ({of_name(at)}). Try: a file labels.txt"
            " with a name for each number, or --set dataset.labels_are=names where numbers are names, too"
        )


def _refuse_numbers_of_one_part(parts: Mapping[str, Part], lists: Mapping[str, list[list[object]]]) -> None:
    """Raise ``DataError`` where the labels of a part are all numbers written as texts, and another part has none."""
    numbers: dict[str, tuple[str, str]] = {}
    names: dict[str, tuple[str, str]] = {}
    for key, part in parts.items():
        found = {str(entry).strip(): part.place(row) for row, entries in enumerate(lists[key]) for entry in entries}
        of_numbers = [text for text in found if NUMBER.fullmatch(text)]
        if found and len(of_numbers) in {0, len(found)}:
            first = next(iter(found.items()))
            (numbers if of_numbers else names)[key] = first
    for (number, place), (name, other) in zip(numbers.values(), names.values(), strict=False):
        raise DataError(
            f"{place}: label '{number}' is a number, as all of its part are, while '{name}' is a name ({other}). Try: a"
            " file labels.txt with a name for each number and --set dataset.labels_are=numbers, or"
            " --set dataset.labels_are=names where numbers are names, too"
        )


def _lists(parts: Mapping[str, Part], between: str) -> dict[str, list[list[object]]]:
    """Return each image's labels as a list. Raises ``DataError`` where some texts are lists, and others are not."""
    texts = [
        (part.place, row, value)
        for part in parts.values()
        for row, value in enumerate(part.labels)
        if isinstance(value, str) and value.strip()
    ]
    found = next((text for text in texts if looks_like_a_list(text[2])), None)
    # Beside sure lists, [1] is one as well, and not a name.
    others = (text for text in texts if not looks_like_a_list(text[2]) and parse_list(text[2]) is None)
    if found and (other := next(others, None)):
        raise DataError(
            f"{other[0](other[1])}: found '{other[2]:.60}', while other cells are lists as {found[2]:.60}"
            f" ({found[0](found[1])}). Try: write all of them in one form"
        )
    return {
        key: [_as_list(value, between, part.place, row, found is not None) for row, value in enumerate(part.labels)]
        for key, part in parts.items()
    }


def _is_filled(entry: object) -> bool:
    return not isinstance(entry, str) or bool(entry.strip())


def _nothing_noted(part: Part) -> Part:
    count = sum(value is None for value in part.labels)
    note = (f"{part.name}: {count:,} images whose labels are null, read as none",) if count else ()
    return replace(part, notes=(*part.notes, *note))


def _as_list(value: object, between: str, place: Place, row: int, as_list: bool) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str) and as_list and value.strip():
        entries = parse_list(value)
        if entries is None:
            raise DataError(
                f"{place(row)}: found {value:.60}, a list that cannot be read, allowed: as in ['dog', 'sofa']."
                " Try: write dog;sofa instead"
            )
        return entries
    if isinstance(value, str):
        return list(split_at(value, between))
    if isinstance(value, bool | int):
        return [value]
    if isinstance(value, list | tuple):
        return list(value)
    raise DataError(f"{place(row)}: labels are {value!r:.60}, expected names or numbers")


def _kind(rows: Sequence[tuple[Place, int, list[object]]], names: int) -> str:
    """Return what lists hold, names or numbers or multi-hot; raises ``DataError`` where that is not certain."""
    filled = [entries for _, _, entries in rows if entries]
    everything = [entry for entries in filled for entry in entries]
    lengths = {len(entries) for entries in filled}
    if not everything:
        return "names"
    if all(isinstance(entry, str) for entry in everything):
        values = {canonical(entry) for entry in everything}
        several = [entries for entries in filled if len(set(entries)) < len(entries)]
        # A number that stands twice in a row of one length is no name, nor are yes and no, in whatever words.
        few = 1 < len(values) <= FEW_VALUES or all(map(NUMBER.fullmatch, values))
        if lengths - {1} and ((len(lengths) == 1 and several and few) or values <= {"0", "1", "true", "false"}):
            raise _ask(rows)
        return "names"
    if not all(isinstance(entry, bool | int | float) for entry in everything):
        return "numbers"  # and the first that is none is named
    if all(isinstance(entry, bool) for entry in everything):
        return "multi-hot"
    return _kind_of_numbers(rows, filled, names)


def _kind_of_numbers(
    rows: Sequence[tuple[Place, int, list[object]]], filled: Sequence[list[object]], names: int
) -> str:
    everything = [entry for entries in filled for entry in entries]
    lengths = {len(entries) for entries in filled}
    repeats = any(len(set(entries)) < len(entries) for entries in filled)
    one_length = len(lengths) == 1
    fits = one_length and (not names or lengths == {names})
    if not all(entry in (0, 1) for entry in everything):
        if repeats and fits and lengths != {1}:
            # A count of objects for each label, or a third value beside 0 and 1.
            raise _ask([next(row for row in rows if any(entry not in (0, 1) for entry in row[2]))])
        return "numbers"
    if repeats and not one_length:
        raise DataError(
            "the labels are lists of 0 and 1, of different lengths. Try: --set dataset.labels_are=numbers where each is"
            " a label's number, or =multi-hot to see the row that is too short"
        )
    if repeats:
        return "multi-hot"
    if fits and (lengths != {1} or names == 1):
        raise _ask(rows)
    return "numbers"


def _looks_multi_hot(rows: Sequence[tuple[Place, int, list[object]]], names: int) -> bool:
    """Return whether lists of labels' numbers are a 0 or 1 for each name, as where they were written as classes."""
    filled = [entries for _, _, entries in rows if entries]
    fits = names > 1 and {len(entries) for entries in filled} == {names}
    return (
        fits
        and all(entry in (0, 1) for entries in filled for entry in entries)
        and any(len({*entries}) < len(entries) for entries in filled)
    )


def _ask(rows: Sequence[tuple[Place, int, list[object]]]) -> DataError:
    place, row, entries = next(found for found in rows if found[2])
    values = {canonical(entry) for entry in entries if isinstance(entry, str)} - {"true", "false"}
    what = "numbers" if all(map(NUMBER.fullmatch, values)) else "names"
    told = f"found {entries!r:.60}, which may be labels' {what} or a value for each label"
    return DataError(f"{place(row)}: {told}. {ASK}, ={what} where each is a label")


def _multi_hot(
    part: Part, lists: Sequence[list[object]], called: Sequence[str], options: Mapping[str, OptionValue], *, told: bool
) -> Part:
    """Return ``part`` with the names, of those ``called``, where its lists hold 1, and those that count neither way."""
    known = meanings({"values": "", **options})
    labels, ignored = [], []
    for row, entries in enumerate(lists):
        if entries and len(entries) != len(called):
            raise DataError(f"{part.place(row)}: {len(entries)} values for {len(called)} labels")
        values = [None if entry is None else truth(entry, known) for entry in entries]
        if None in values:
            column = values.index(None)
            strange = entries[column]
            raise DataError(
                f"{part.place(row)}: found {strange!r:.40} for '{called[column]}', allowed: 0 and 1 for each label."
                f" Try: {with_meaning([strange], known)}"
            )
        pairs = list(zip(called, values, strict=False))
        labels.append(tuple(name for name, value in pairs if value == YES))
        ignored.append(tuple(name for name, value in pairs if value == IGNORE))
    note = "" if told else f"{part.name}: labels read as 0 and 1 for each of {len(called)} (multi-hot)"
    notes = (*part.notes, *filter(None, [note]))
    return replace(part, labels=labels, ignored=ignored if any(ignored) else None, notes=notes)


def _as_number(entry: object) -> object:
    """Return the whole number that ``entry`` is, also as 1.0: so pandas writes numbers of a column with empty cells."""
    if isinstance(entry, float) or (isinstance(entry, str) and entry.isascii() and len(entry) < LONGEST_NUMBER):
        text = canonical(entry)
        return int(text) if NUMBER.fullmatch(text) else entry
    return entry


def _as_text(entry: object) -> object:
    return str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry


CONVERT = {"numbers": _as_number, "names": _as_text}


def _name(entry: object, names: Sequence[str], none: Collection[str], place: Place, row: int) -> str:
    if isinstance(entry, str) and entry.strip():
        return entry.strip()
    if isinstance(entry, int) and not isinstance(entry, bool):
        # Lists of numbers are filled up to one length with one that is no label's, which ``cleaned`` takes out.
        if (not names and entry >= 0) or (entry < 0 and str(entry) in none):
            return str(entry)
        if 0 <= entry < len(names) and names[entry]:
            return names[entry]
        allowed = f"0 to {len(names) - 1}" if names else "0 or more"
        hint = f". Try: {as_typed('no_label', str(entry))} where it stands for no label" if entry < 0 else ""
        hint = hint or (" without those of blank lines of labels.txt" if 0 <= entry < len(names) else "")
        raise DataError(f"{place(row)}: label number {entry}, allowed: {allowed}{hint}")
    hint = ". Try: --set dataset.labels_are=numbers" if isinstance(entry, float) and entry.is_integer() else ""
    raise DataError(f"{place(row)}: label {entry!r:.60}, expected a name or a whole number{hint}")
