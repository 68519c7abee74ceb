"""What one cell may hold, exactly: yes or no for a label, or a list; all else is for its reader to refuse."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bench import Option, OptionValue, UsageError
from bench_datasets.typed import entries_of, typed

VALUES = Option(
    "values", "", "what other values of a label's column mean, as in -1:ignore,yes:1,no:0,empty:ignore; 1, 0 or ignore"
)
YES, NO, IGNORE = 1, 0, -1
MEANINGS = {"1": YES, "0": NO, "ignore": IGNORE}
EXACT = {"1": YES, "0": NO, "true": YES, "false": NO}
ALLOWED = "0, 1 or nothing, also as 1.0 or True"
EMPTY = "empty"

TICKS = frozenset({"x", "v", "*", "\u2713", "\u2714", "\u2611"})
SAYS = dict.fromkeys((*TICKS, "yes", "y", "t", "present", "positive"), YES)
SAYS |= dict.fromkeys(("no", "n", "f", "absent", "negative"), NO)
"""What may stand for 1 and 0 in people's tables, where it is said so."""

NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.0*(?:[eE][+-]?0+)?)?")
"""A whole number, also as 1.0 and as NumPy writes it, 1.000e+00."""

# No two parts of a pattern may take the same characters: what fits in no way would be tried in all of them.
ITEM = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d*)?|None|null|True|False|true|false)"""
LIST = re.compile(rf"[\[({{]\s*(?:{ITEM}\s*(?:,\s*{ITEM}\s*)*(?:,\s*)?)?[\])}}]", re.DOTALL)
TEXT = re.compile(r'="([^"]*)"')
NUMPY_NUMBERS = re.compile(r"\[\s*-?\d+(?:\.\d*)?(?:\s+-?\d+(?:\.\d*)?)+\s*\]")
CHOICES = re.compile(r'\{\s*"choices"\s*:\s*(\[.*\])\s*\}', re.DOTALL)
LIST_OF_TEXTS = re.compile(r"""[\[({]\s*['"].*['"]\s*(?:,\s*)?[\])}]""", re.DOTALL)


def unmarked(cell: str) -> str:
    """Return a cell without blanks around it and without what tells a spreadsheet that it is text.

    That is the apostrophe by which ``bench predict --csv`` and spreadsheets mark what would be a formula, and ="007".

    >>> unmarked("'=1+1;dog"), unmarked(" 'dog'"), unmarked("'-x'"), unmarked('="007"')
    ('=1+1;dog', "'dog'", "'-x'", '007')
    """
    cell = cell.strip()
    if not cell.startswith(("'", "=")):
        return cell
    if text := TEXT.fullmatch(cell):
        return text[1]
    marked = cell[0] == "'" and cell[1:2] in {"=", "+", "-", "@", "\t", "\r"} and not cell.endswith("'")
    return cell[1:] if marked else cell


def choices(cell: str) -> str | tuple[str, ...]:
    """Return the names in a cell that Label Studio wrote for several choices; any other as it is, as one of one choice.

    >>> choices('{"choices": ["dog", "cat"]}'), choices("dog")
    (('dog', 'cat'), 'dog')
    """
    found = CHOICES.fullmatch(cell) if cell.startswith("{") else None
    names = parse_list(found[1]) if found else None
    return cell if names is None else tuple(map(str, names))


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises ``ValueError`` for a name that stands twice, which may be other labels' place.

    >>> unique([("labels", ["dog"]), ("labels", [])])
    Traceback (most recent call last):
    ValueError: 'labels' stands twice in one object
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in found if names.count(name) > 1)}' stands twice in one object")
    return found


def meanings(options: Mapping[str, OptionValue]) -> dict[str, int]:
    """Return what values mean beside ``EXACT``, by the option ``values``; ``UsageError`` for one of no meaning."""
    found: dict[str, int] = {}
    for pair in entries_of(str(options["values"])):
        value, colon, meaning = pair.rpartition(":")
        if not colon or meaning.strip().lower() not in MEANINGS:
            raise UsageError(
                f"option values: found '{pair}', allowed: VALUE:1, VALUE:0 or VALUE:ignore, separated by commas."
                " Try: --set dataset.values=-1:ignore"
            )
        found[canonical(value)] = MEANINGS[meaning.strip().lower()]
    return found


def with_meaning(values: Iterable[object], known: Mapping[str, int]) -> str:
    """Return how values are given a meaning, beside those ``known`` already; of ticks and words, that which they say.

    >>> print(with_meaning(["0,5"], {"yes": 1, "-1": -1}))
    --set 'dataset.values=yes:1,-1:ignore,"0,5:ignore"' (or :1 or :0) for what it means
    >>> print(with_meaning(["x", "no"], {}))
    --set 'dataset.values=x:1,no:0' (or :ignore) for what they mean
    >>> print(with_meaning(["M", "F"], {}))
    --set 'dataset.values=M:ignore,F:ignore' (or :1 or :0) for what they mean
    """
    words = {meaning: word for word, meaning in MEANINGS.items()}
    seen = {str(value): canonical(value) for value in values}
    # Beside other letters a letter is something else, as F of M and F, and x of o and x.
    sure = all(text in SAYS for text in seen.values() if any(map(str.isalpha, text)))
    given = {value: words[SAYS.get(text, IGNORE) if sure or len(text) > 1 else IGNORE] for value, text in seen.items()}
    told = typed(
        "values", *(f"{one}:{words[meaning]}" for one, meaning in known.items()), *map(":".join, given.items())
    )
    others = " or ".join(f":{word}" for word in MEANINGS if word not in given.values())
    return f"{told}{f' (or {others})' * bool(others)} for what {'it means' if len(given) == 1 else 'they mean'}"


def canonical(value: object) -> str:
    """Return a value so that equal ones are equal texts.

    >>> [canonical(value) for value in ("1.0", " -1. ", True, "TRUE", 0.0, "01", "1.00e+00", None, "yes", 0.5)]
    ['1', '-1', 'true', 'true', '0', '1', '1', 'empty', 'yes', '0.5']
    """
    text = "" if value is None else str(value).strip()
    if match := NUMBER.fullmatch(text):
        sign = "-" if match[1] == "-" and match[2] != "0" else ""
        return sign + match[2]
    return text.lower() or EMPTY


def truth(value: object, known: Mapping[str, int]) -> int | None:
    """Return ``YES``, ``NO`` or ``IGNORE``, or ``None`` for a value that means none; ``known`` as of ``meanings``."""
    text = canonical(value)
    return known.get(text, EXACT.get(text, NO if text == EMPTY else None))


def looks_like_a_list(text: str) -> bool:
    """Return whether a cell is sure to be a list and no name: empty, of quoted texts, or of several numbers."""
    text = text.strip()
    if text in {"[]", "()", "{}", "set()"} or LIST_OF_TEXTS.fullmatch(text) or NUMPY_NUMBERS.fullmatch(text):
        return True
    return bool(LIST.fullmatch(text)) and "," in text


def parse_list(text: str) -> list[object] | None:
    """Return the entries of a list as Python or JSON writes it, or ``None`` where it is none.

    Texts side by side without a comma, as NumPy prints them, are no list: Python would join them.

    >>> parse_list("['Action', 'Drama']"), parse_list('["a"]'), parse_list("['a' 'b']"), parse_list("[red]")
    (['Action', 'Drama'], ['a'], None, None)
    """
    text = text.strip()
    if text in {"{}", "set()"}:
        return []
    if not LIST.fullmatch(text):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | tuple | set):
            # A set has no order of its own; that of the text is taken.
            return sorted(found, key=lambda entry: text.find(str(entry))) if isinstance(found, set) else list(found)
        return [found] if isinstance(found, str | int) else None
    return None
