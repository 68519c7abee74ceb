"""Words that tell train, validation and test apart, in cells and in names of columns, files and folders."""

from __future__ import annotations

import re
from collections.abc import Collection

from bench_datasets.label_names import look

SPLIT_NAMES = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"validation": "validation", "valid": "validation", "val": "validation"},
}
"""What a cell may hold that says of which part an image is, in small letters."""

OTHER_WORDS = {"trainval": "train", "dev": "validation"}
"""Others that are seen for parts, and not taken for them."""

WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
OF_PARTS = re.compile(rf"partition|subset|k?fold|(is|in) ({'|'.join(SPLIT_NAMES)})")
HAS_PARTS = re.compile(r"(.*[^a-z])?(partition|subset|splits?|k?folds?|usage|hold ?out|evaluation)([^a-z].*)?|set")
FEW_WORDS = 20
"""Different cells of a column that are words for parts; names of files have more."""


def is_of_parts(column: str) -> bool:
    """Return whether a column's name says that it tells parts apart, and nothing that may be in a picture.

    >>> is_of_parts("is_valid"), is_of_parts("test"), is_of_parts("train"), is_of_parts("split rail")
    (True, True, False, False)
    """
    name = look(column)
    # A train is a label of several data sets.
    return OF_PARTS.fullmatch(name) is not None or SPLIT_NAMES.get(name, "train") != "train"


def may_be_of_parts(column: str) -> bool:
    """Return whether the name of a column that is none of labels says that it tells parts apart, in whatever words.

    >>> [may_be_of_parts(name) for name in ("Usage", "cv_fold", "split_1", "train_or_test", "unfolded")]
    [True, True, True, True, False]
    """
    name = look(column)
    several = len(SPLIT_NAMES.keys() & name.split()) > 1
    return is_of_parts(column) or several or HAS_PARTS.fullmatch(name) is not None


def split_named(text: str) -> str:
    """Return the part of which a cell says that an image is, or what it says in small letters where it is none.

    >>> split_named("Training"), split_named("Fold 1")
    ('train', 'fold 1')
    """
    return SPLIT_NAMES.get(text.lower(), text.lower())


def part_of(text: str) -> str:
    """Return the part that a text names beside other words; empty where it names none, or several.

    >>> [part_of(text) for text in ("PublicTest", "train2017", "VAL", "trainval", "contest", "train or test")]
    ['test', 'train', 'validation', 'train', '', '']
    """
    parts = _parts_in(text)
    return parts.pop() if len(parts) == 1 else ""


def _parts_in(text: str) -> set[str]:
    words = SPLIT_NAMES | OTHER_WORDS
    return {words[word] for word in map(str.lower, WORDS.findall(text)) if word in words}


def tell_parts_apart(cells: Collection[str]) -> bool:
    """Return whether two of the cells are words for two parts, or all cells name one, and together several."""
    exact = {SPLIT_NAMES[cell.lower()] for cell in cells if cell.lower() in SPLIT_NAMES}
    # An empty cell is of train, where only the others are marked.
    named = {part_of(cell or "train") for cell in cells} if len(cells) <= FEW_WORDS else {""}
    return len(exact) > 1 or ("" not in named and len(named) > 1)


def names_part(name: str) -> bool:
    """Return whether a file's or folder's name has a word of a part.

    >>> names_part("train_val_list"), names_part("PublicTest"), names_part("contest")
    (True, True, False)
    """
    return bool(_parts_in(name))
