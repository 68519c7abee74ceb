"""What columns of a table say by names and cells: more labels, rows' numbers, parts, which images belong together."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from bench import DataError
from bench_datasets.cells import EMPTY, NUMBER, canonical
from bench_datasets.label_names import KEEP_ODD, look
from bench_datasets.part_words import FEW_WORDS, may_be_of_parts, tell_parts_apart
from bench_datasets.valued_names import MARKED_DENIALS, MARKED_YES, pairs_by_affix

INDEX = re.compile(r"Unnamed: (\d+)")
"""What pandas calls a column without a name, by its place; the first is most often the rows' numbers."""

SECOND = re.compile(r"(.*[^\d.])\.\d+")
"""What pandas calls another column of a name that stands before it."""

MORE = frozenset({"primary", "main", "first", "secondary", "second", "other", "additional", "extra", "more", *"abcdef"})
MORE |= {"one", "two", "three", "third", "i", "ii", "iii"}
"""Words that tell columns apart that hold one label, or some, of several."""

NUMBERED = re.compile(r"\d+(?:st|nd|rd|th)?(?![a-z])|(?<=.) [xy]$")
"""What tells them apart besides: numbers, and what pandas writes behind the names of two tables."""

THINGS = (
    "patient|subject|participant|person|individual|animal|study|case|exam|series|lesion|slide|specimen|plot|site"
    "|location|camera|scene|place|video|clip|movie|sequence|session|burst|group"
)
KEY = "id|name|no|number|key|uid|uuid|code|index"
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
BELONG_TOGETHER = re.compile(rf"({THINGS}) ?({KEY})?")
"""Names of columns, as ``look`` has them, that say which images are of one thing and alike."""

ONE_THING = re.compile(rf"({THINGS}) ?\d+")
"""And of folders, each of one of them."""

NUMBERING = re.compile(
    rf"id|index|idx|level 0|row|no|#|({THINGS}|image|img|photo|picture|file|row|line|sample|record|item) ?({KEY}|idx)"
)
"""And those of rows' numbers or of what a row is of."""

SAYS_WHETHER = re.compile(
    "((is|label) )?(present|presence|positive|correct|true|there|confirmed)|confidence|score|value|exists"
)
SAYS_NOT = re.compile("((is|label) )?(absent|absence|negated|negation|negative|wrong)")
"""And those of which a no, or a yes, says that the label beside it is not there, as Open Images has it."""

OUT = "skip(ped)?|reject(ed)?|cancell?ed|discard(ed)?|deleted|removed|excluded?|ignored?|draft|unlabell?ed|unannotated"
TAKEN = "accepted|approved|labell?ed|annotated"
LEFT_OUT, IS_TAKEN, STATE = (
    re.compile(f"((is|was|label|annotation) )?({words})")
    for words in (OUT, TAKEN, f"{OUT}|{TAKEN}|verified|reviewed|checked|submitted")
)
"""Names of columns, and words in them, of rows whose labels do not count; of those that do; and of either kind."""

USUAL = {
    "path_column": re.compile("(image|img|photo|picture)|((image|img|photo|picture) )?(file ?)?(path|name|file|fname)"),
    "labels_column": re.compile(
        "((multi|image|true) )?(labels?|tags?|class(es)?|categor(y|ies)|choices?|targets?|genres?)( names?)?"
        "|ground truth|findings?( labels?)?"
    ),
}
"""What columns of paths and of labels are called, whatever else is in their tables."""

IDS = re.compile("((image|img|photo|picture) ?)?(id|index)")
"""And those of paths where no other is, of which the names of files may be made."""

FIRST = 3
"""Columns among which one of paths stands, if it is called in one word."""

BETWEEN = re.compile(r"\s*[;,|]\s*")


def of_one_thing(name: str) -> bool:
    """Return whether a column says by its name which images are of one thing, as of a patient."""
    return BELONG_TOGETHER.fullmatch(look(name)) is not None


def thing_of(path: str) -> str:
    """Return the folders of an image up to one that is called as one thing's, as a patient's; empty without one.

    >>> thing_of("train/patient00001/study2/view1.jpg"), thing_of("scenes/1.jpg")
    ('train/patient00001', '')
    """
    return _thing_in(path.replace("\\", "/").rpartition("/")[0])


@lru_cache(1 << 16)  # many images lie in one folder
def _thing_in(folder: str) -> str:
    folders = folder.split("/")
    depth = next((depth for depth, name in enumerate(folders, 1) if ONE_THING.fullmatch(look(name))), 0)
    return "/".join(folders[:depth])


def called_as(option: str, name: str, columns: Collection[str]) -> str:
    """Return the column that ``option`` may mean where there is no ``name``; empty where none is, or several are.

    >>> called_as("path_column", "path", ["id", "File_Name"]), called_as("labels_column", "labels", ["tags", "class"])
    ('File_Name', '')
    """
    alike = [column for column in columns if look(column) == look(name)]
    usual = [column for column in columns if USUAL[option].fullmatch(look(column))]
    if option == "path_column":  # a photo may be a label among others
        usual = [column for column in usual if len(look(column).split()) > 1 or column in [*columns][:FIRST]]
    if option == "path_column" and not usual:
        usual = [column for column in columns if IDS.fullmatch(look(column))]
    return alike[0] if alike else usual[0] if len(usual) == 1 else ""


def numbers_rows(name: str) -> bool:
    """Return whether a column is called as one of rows' numbers, or of keys of what they are of.

    >>> [numbers_rows(name) for name in ("ID", "image_id", "row number", "patient", "license number")]
    [True, True, True, False, False]
    """
    return NUMBERING.fullmatch(look(name)) is not None


def says_state(name: str) -> bool:
    """Return whether a column is called as one that says how far, or whether, its row is labelled.

    >>> [says_state(name) for name in ("verified", "was_cancelled", "isSkipped", "is_labeled", "labeled box")]
    [True, True, True, True, False]
    """
    return STATE.fullmatch(_seen(name)) is not None


def _seen(name: str) -> str:
    return look(CAPITAL.sub(" ", name))


def companions(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that say something of others, as of most labels dog_pred beside dog; empty where none do.

    >>> companions(["dog", "cat", "owl", "dog_pred", "cat_pred", "owl_pred"]), companions(["car", "red car", "bus"])
    (('dog_pred', 'cat_pred', 'owl_pred'), ())
    """
    found = max(pairs_by_affix(dict.fromkeys(columns)).values(), key=len, default=[])
    return tuple(name for _, name in found) if len(found) > 2 and 3 * len(found) >= len(columns) else ()


def is_more(number: int, name: str, labels: str) -> bool:
    """Return whether a column may hold more labels than ``labels``: without a name, or as label2 or other_labels.

    In the first column without a name stand the rows' numbers. Where each label is a column, ``labels`` is empty.

    >>> [is_more(2, name, "label") for name in ("", "label[1]", "2nd label", "label_y", "Other labels", "label_id")]
    [True, True, True, True, True, False]
    """
    by_pandas = INDEX.fullmatch(name)
    if by_pandas or not name:
        return bool(labels) and (int(by_pandas[1]) if by_pandas else number) > 0
    seen = look(name)
    of_several = NUMBERED.search(seen) is not None or not MORE.isdisjoint(seen.split())
    return of_several and labels not in {"", name} and _stem(name) == _stem(labels)


def _stem(name: str) -> str:
    """Return what columns of several labels share: label of label_2, secondary_labels and Label B."""
    words = re.findall(r"[^\W\d_]+", NUMBERED.sub(" ", look(name)))
    return " ".join(word.rstrip("s") for word in words if word not in MORE)


def tell_parts(unread: Mapping[str, set[str]], others: Collection[str]) -> tuple[str, ...]:
    """Return the columns that tell parts apart, of those that were not read, each with its cells.

    ``others`` were said to be no labels, and tell parts apart by their cells alone.
    """
    called = {name for name in unread if may_be_of_parts(name) and name not in others}
    return tuple(
        name for name, cells in unread.items() if tell_parts_apart(cells) or (name in called and len(cells) > 1)
    )


def _left_out(name: str, values: Mapping[str, str]) -> str:
    """Return a cell by which a row does not count, of ``values``, the cells by what they mean; empty without one."""
    marks = MARKED_YES if LEFT_OUT.fullmatch(name) else MARKED_DENIALS if IS_TAKEN.fullmatch(name) else frozenset()
    words = [cell for cell in values.values() if LEFT_OUT.fullmatch(look(cell))] if len(values) <= FEW_WORDS else []
    return min([cell for value, cell in values.items() if value in marks] + words, default="")


def beside_labels(
    path: Path, unread: Mapping[str, set[str]], labels: str, cells: Collection[str], *, keep: bool = False
) -> tuple[str, ...]:
    """Return notes on columns whose cells are all of the names that ``cells`` of the column ``labels`` hold.

    Raises ``DataError`` for a column that says of the label beside it whether it is there, or of its row that it does
    not count, as annotation tools write it, and is not read; to ``keep`` it is a note.
    """
    odd = []
    for name, found in unread.items():
        values = {canonical(cell): cell for cell in found}
        if out := _left_out(_seen(name), values):
            told = f"column '{name}' is {out} in some rows. Do the labels in '{labels}' count there?"
            odd.append(f"{told} Try: take these rows out")
            continue
        no = MARKED_YES if SAYS_NOT.fullmatch(look(name)) else MARKED_DENIALS
        called = no is MARKED_YES or SAYS_WHETHER.fullmatch(look(name))
        told = next((cell for value, cell in values.items() if value in no), "") if called else ""
        if told and values.keys() <= MARKED_DENIALS | MARKED_YES | {EMPTY}:
            told = f"column '{name}' is {told} in some rows. Is the label there that stands in '{labels}'?"
            odd.append(f"{told} Try: take these rows' labels out")
    if odd and not keep:
        raise DataError(f"{path}: {odd[0]}, or where it says nothing of them: {KEEP_ODD}")
    notes = [f"{path.name}: {message.partition(' Try: ')[0]}" for message in odd]
    pieces = {name: {piece for cell in found for piece in BETWEEN.split(cell)} - {""} for name, found in unread.items()}
    named = {name: of_it for name, of_it in pieces.items() if not all(map(NUMBER.fullmatch, of_it))}
    known = {piece for cell in cells for piece in BETWEEN.split(cell)} if named else set()
    told = "holds names of labels, and is not read"
    return (*notes, *(f"{path.name}: column '{name}' {told}" for name, of_it in named.items() if of_it <= known))
