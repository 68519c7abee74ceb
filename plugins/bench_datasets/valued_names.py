"""Label names that hold a value besides: how sure it is, how many there are, or that there is none."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, combinations

SCORED = re.compile(r".*(?:[:=(]\s*|\s)\d*\.\d+\)?", re.DOTALL)
"""Names that end in a decimal number: scores, or boxes as YOLO's text files hold them."""

DECIMAL = re.compile(r"\d*\.?\d+(?:e-\d{1,3})?", re.IGNORECASE)
BOX = re.compile(r"(?:[^\s,]+[\s,]+)?\d+(?:[\s,]+\d+){3}(?:[\s,]+[^\s,]+)?")
NUMBERS = re.compile(r"[\d\s,]+")
"""Names that are a score alone, and those of whole numbers of pixels with a name before or behind them."""

MARKED = re.compile(r"(.*[^\s:=(])\s*[:=(]\s*([^\s:=()]+)\s*\)?", re.DOTALL)
APART = re.compile(r"(.*[^\s_-])[\s_-]+([^\s_-]+)", re.DOTALL)
"""A name and its value, behind a colon, an equals sign or in brackets, and behind a blank, underscore or hyphen."""

COUNTED = re.compile(r"(?=\d+\s*(?:[x*\u00d7]\s*|\s)([^\W\d].*))(\d+).*", re.DOTALL)
"""A name and, before it, how many there are."""

SHARE = re.compile(r"[+-]?(?:0?\.\d+|1\.0+)|\d+(?:\.\d+)?%|\d+/\d+")
COUNT = re.compile(r".*[x*\u00d7]\d+", re.DOTALL)
"""A name that ends in a count; a BMW X5 is none."""

BY_CHANCE = 0.05
"""How likely it may be that labels are never together on an image, for a note on it."""

MOST = 20_000
"""Names that are looked up in one another, at every letter."""

ENDING = 2
"""Letters of an ending, as of a plural."""

LONGEST = 200
"""Letters of a name that is looked at: a pattern may take the square of them."""

DENIALS = frozenset({"no", "false", "absent"})
WORDS = DENIALS | {"yes", "true", "present"}
MARKED_DENIALS = DENIALS | {"0", "-1", "n", "f", "negative", "none"}
MARKED_YES = WORDS - DENIALS | {"1", "y", "t", "positive"}

BEFORE = re.compile(r"[-!~\u00ac]\s*(.+)", re.DOTALL)
NOT_THERE = re.compile(r"(?:no|not|non|without)[\s_-]+(.+)", re.DOTALL | re.IGNORECASE)
"""A name behind a mark, and behind a word, that there is none of it."""


def valued(places: Mapping[str, str]) -> list[str]:
    """Return a message for the first name that holds a value; none where each may be a label's own name.

    ``places`` says where each stands. Of one label there are several values then, its name alone being one.

    >>> [bool(valued(dict.fromkeys(names, ""))) for names in (["dog:1", "dog:0"], ["dog", "dog (0.9)"], ["a 1", "a 2"])]
    [True, True, False]
    """
    scores = all(map(DECIMAL.fullmatch, places)) and any(float(name) % 1 > 0 for name in places)
    boxes = all(len(name) <= LONGEST and BOX.fullmatch(name) and not NUMBERS.fullmatch(name) for name in places)
    if places and (scores or boxes or all(map(SCORED.fullmatch, places))):
        name = next(iter(places))
        return [
            f"{places[name]}: label '{name:.60}' looks like a name and its score or box."
            " Try: write names alone, as dog;sofa,"
        ]
    name = _marked(places) or _apart(places) or _denied(places)
    return [_told(places, name)] if name else []


def _told(places: Mapping[str, str], name: str) -> str:
    what = f"{places[name]}: label '{name:.60}' looks like a name and a value of it"
    return f"{what}. Try: write the names of what is there alone, as dog;sofa,"


def numbered(places: Mapping[str, str], sets: Collection[Sequence[str]]) -> list[str]:
    """Return a message where all names have a number behind a mark or before them, and two labels or more have several.

    Those of one label may be its kinds, as in grade:1 and grade:2; so are those that an image has together, as coins.

    >>> names = dict.fromkeys(["1 cent", "2 cent", "1 euro", "2 euro"], "row 1")
    >>> len(numbered(names, [["1 cent", "2 euro"]])), len(numbered(names, [["1 cent", "2 cent"]]))
    (1, 0)
    """
    for form in (MARKED, COUNTED):
        found = _values(places, form)
        label = {name: stem for stem, values in found.items() for name in values.values()}
        several = [values for values in found.values() if len(values) > 1]
        all_so = len(label) == len(places) and all(map(str.isdecimal, chain(*found.values())))
        if len(several) > 1 and all_so and all(len({label[name] for name in one}) == len({*one}) for one in sets):
            return [_told(places, next(iter(several[0].values())))]
    return []


def yes_or_no(places: Collection[str]) -> bool:
    """Return whether all names are words for yes or no.

    >>> yes_or_no({"Yes", "no"}), yes_or_no({"Positive", "dog"})
    (True, False)
    """
    return {name.lower() for name in places} <= MARKED_DENIALS | MARKED_YES


def not_there(places: Mapping[str, str]) -> list[str]:
    """Return a note for the first name that says in words that what another name says is not there."""
    for name in places:
        found = NOT_THERE.fullmatch(name)
        if found and found[1] in places:
            return [f"label '{name}' says that '{found[1]}' is not there, and counts as a label of its own"]
    return []


def with_and_without(places: Mapping[str, str], sets: Collection[Sequence[str]]) -> list[str]:
    """Return notes on what stands before or behind several labels, where no image has one with it and one without.

    As a word for no or perhaps in any language, and an s for several; not where they are so rare that it is chance.
    """
    of_several = {affix: found for affix, found in pairs_by_affix(places).items() if len(found) > 1}
    if not of_several or all(len(labels) < 2 for labels in sets):
        return []
    named = {*chain(*chain(*of_several.values()))}
    there = {frozenset(pair) for labels in sets for pair in combinations(named.intersection(labels), 2)}
    times = Counter(chain.from_iterable(sets))
    notes = []
    for (before, behind), found in of_several.items():
        together = sum(times[one] * times[other] for one, other in found) / len(sets)
        if there.isdisjoint(map(frozenset, found)) and math.exp(-together) * len(of_several) < BY_CHANCE:
            notes.append(
                f"no image has a label with and one without '{before or behind}', as '{found[0][0]}' and"
                f" '{found[0][1]}', of {len(found)}: these count as labels of their own"
            )
    return notes


def pairs_by_affix(names: Collection[str]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return the pairs of a name and one that has more before or behind it, by what that is; of too many names, none.

    >>> pairs_by_affix({"dog": 0, "no dog": 1})
    {('no ', ''): [('dog', 'no dog')]}
    """
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in names if len(names) <= MOST else ():
        for cut in range(1, len(name) if len(name) <= LONGEST else 0):
            before, behind = name[:cut], name[cut:]
            if behind in names and _is_word(before, behind, 0):
                pairs.setdefault((before, ""), []).append((behind, name))
            if before in names and _is_word(behind, before, ENDING):
                pairs.setdefault(("", behind), []).append((before, name))
    return pairs


def _is_word(text: str, beside: str, longest: int) -> bool:
    """Return whether a text may say something of a name: apart from it or of ``longest`` letters, and no number."""
    apart = not (text[0].isalpha() and text[-1].isalpha())
    return (apart or len(text) <= longest) and not any(map(str.isdigit, text)) and sum(map(str.isalpha, beside)) > 1


def _marked(places: Mapping[str, str]) -> str:
    """Return the first name with a share behind a mark, or with a no where all values of its label are yes or no.

    Where no name is alone or has a yes, a no is something else, as in Woman (f).
    """
    found = _values(places, MARKED)
    any_yes = not MARKED_YES.isdisjoint(chain(*found.values()))
    for stem, values in found.items():
        of_words = (any_yes or stem in places) and values.keys() <= MARKED_DENIALS | MARKED_YES
        share = next((name for value, name in values.items() if SHARE.fullmatch(value)), "")
        if no_or_share := share or (_denial(values, MARKED_DENIALS) if of_words else ""):
            return no_or_share
    return ""


def _apart(places: Mapping[str, str]) -> str:
    """Return the first name with a value behind a blank and its like, which stand in names: of several of one label."""
    found = _values(places, APART)
    all_so = sum(map(len, found.values())) == len(places) and {*chain(*found.values())} == {"0", "1"}
    if len(found) > 1 and all_so and all(any(map(str.isalpha, stem)) for stem in found):
        return next(values["0"] for values in found.values() if "0" in values)
    for stem, values in found.items():
        if stem in places or len(values) > 1:
            if WORDS.issuperset(values) and (name := _denial(values, DENIALS)):
                return name
            if all(map(SHARE.fullmatch, values)) or all(map(COUNT.fullmatch, values.values())):
                return next(iter(values.values()))
    return ""


def _denial(values: Mapping[str, str], denials: frozenset[str]) -> str:
    return next((name for value, name in values.items() if value in denials), "")


def _denied(places: Mapping[str, str]) -> str:
    """Return the first name behind a mark that there is none of it, which stands alone or behind a plus sign, too."""
    for name in places:
        found = BEFORE.fullmatch(name)
        if found and (found[1] in places or f"+{found[1]}" in places):
            return name
    return ""


def _values(places: Mapping[str, str], form: re.Pattern[str]) -> dict[str, dict[str, str]]:
    """Return the names that have the form of a name and a value, by these two in small letters."""
    found: dict[str, dict[str, str]] = {}
    for name in places:
        if len(name) <= LONGEST and (match := form.fullmatch(name)):
            found.setdefault(match[1], {})[match[2].lower()] = name
    return found
