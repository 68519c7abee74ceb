"""Label names that are several names: joined by a separator that was not asked for."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping

from bench_datasets.cells import NUMBER

SEPARATORS = {
    **{mark: mark for mark in "|,;/&+\uff0c\uff1b\u3001"},  # the last are a comma, a semicolon and a comma of Chinese
    **{"\t": "tab", "\n": "line", " ": "blank"},
}
"""What may separate names, and what a user types for it."""

RARE_SEPARATORS = (*":\\_*~$#\u2022\u00b7\u30fb\u060c", " and ", "_and_", " - ", " > ", " -> ")
"""Others, as a bullet, two dots and an Arabic comma, which stand in names as well: asked about where no image has
two labels, and all parts are labels themselves; and so is any other mark or sign."""

NAMED_WITH = " ,&"
"""Separators that stand in names as well: taken for what they are where half the names hold them."""

Places = Mapping[str, str]


def unsplit(places: Places, single: bool, separator: str | None) -> list[str]:
    """Return a message for names that are several names, by a separator that was not asked for.

    Names of lists are not split, so that one may hold the separator that was asked for.
    """
    if separator is None:
        return []
    rare = {mark: mark for mark in (*RARE_SEPARATORS, *_marks_in(places)) if single}
    perhaps = ""
    for mark, typed in (SEPARATORS | rare).items():
        parts, uses = _parts(places, mark)
        joined = {name: split for name, split in parts.items() if len(split) > 1}
        if mark == "/":  # /m/01bjv is a code
            joined = {name: split for name, split in joined.items() if not name.startswith(mark)}
        if mark not in SEPARATORS and mark not in RARE_SEPARATORS:  # 1.5 is a number, beside 1 and 5
            joined = {name: split for name, split in joined.items() if any(map(str.isalpha, name))}
        # All its parts are labels themselves; or no image has two labels, and parts return in other names.
        whole = [name for name, split in joined.items() if all(part in places for part in split)]
        shared = [name for name, split in joined.items() if any(uses[part] > 1 for part in split)]
        if mark in NAMED_WITH and 2 * len(joined) < len(places):
            shared = []
        # A dash apart, as in CVC - Normal, is no label.
        if mark == " " and (len(uses) >= len(places) or not all(any(map(str.isalnum, part)) for part in uses)):
            whole, shared = [], []
        # No name holds a line's end; 16 0 and #dog #cat are several.
        if mark in "\t\n" or (mark == " " and all(NUMBER.fullmatch(part) or part.startswith("#") for part in uses)):
            whole = [*joined]
        if name := next(iter(whole or (shared if single and mark in SEPARATORS else [])), ""):
            remedy = "each as an entry of the list," if mark == separator else f"--set 'dataset.separator={typed}'"
            told = f"{places[name]}: label '{name:.80}' looks like {len(joined[name])} labels. Try: {remedy}"
            if whole:
                return [told]
            # Of bird and dog the blank is one between parts that return, and the word one between labels.
            perhaps = perhaps or told
    return [perhaps] if perhaps else []


def _marks_in(places: Places) -> list[str]:
    """Return the marks and signs that names hold, beside those that may separate them in any case."""
    letters = {letter for name in places for letter in name} - SEPARATORS.keys()
    return sorted(letter for letter in letters if unicodedata.category(letter)[0] in "PS")


def of_others(places: Places, single: bool, separator: str | None) -> list[str]:
    """Return a note for the first name that is other labels with what may stand in names as well between them.

    In names that were no texts, as of categories, that is any separator but blanks.
    """
    marks = RARE_SEPARATORS if separator is not None else (*filter(str.strip, SEPARATORS), *RARE_SEPARATORS)
    for mark in () if single and separator is not None else marks:
        for name, split in _parts(places, mark)[0].items():
            if len(split) > 1 and all(part in places for part in split):
                return [f"label '{name}' is other labels with '{mark}' between them, and counts as a label of its own"]
    return []


def _parts(places: Places, mark: str) -> tuple[dict[str, list[str]], Counter[str]]:
    """Return the names that hold ``mark``, split at it, and how many names of all have each part."""
    parts = {name: split_at(name, mark) for name in places if mark in name or mark == " "}
    uses = Counter(part for split in parts.values() for part in set(split))
    uses.update(name for name in places if name not in parts)
    return parts, uses


def split_at(text: str, mark: str) -> list[str]:
    """Return the names in a text that are separated by ``mark``; a blank stands for any number of any blanks."""
    return [part.strip() for part in (text.split() if mark == " " else text.split(mark)) if part.strip()]


def hint(places: Places, separator: str | None) -> str:
    """Return in words which separator names may hold, and what to type if they do; empty where there is none."""
    if separator is None:
        return ""
    marks = SEPARATORS | {mark: mark for mark in RARE_SEPARATORS}
    marks[" "] = marks.pop(" ")  # it stands in names most often
    for mark, typed in marks.items():
        parts, uses = _parts(places if mark != separator else {}, mark)
        # Marks that stand in names as well, where parts return in other names, as in blue_dress beside blue_jeans.
        several = [name for name, split in parts.items() if len(split) > 1]
        shared = [name for name in several if mark in SEPARATORS or any(uses[part] > 1 for part in parts[name])]
        if shared:
            remedy = f"--set 'dataset.separator={typed}'"
            return f", and names hold '{mark}', as '{shared[0]:.60}'. If it separates labels: {remedy}"
    return ""
