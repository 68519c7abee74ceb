"""Words that tell train, validation and test apart, in cells and in names of columns, files and folders."""

from __future__ import annotations

import re
from collections.abc import Collection

from bench_datasets.label_names import look

SPLIT_NAMES = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"validation": "validation", "valid": "validation", "val": "validation", "validate": "validation"},
}
"""What a cell may hold that says of which part an image is, in small letters."""

OTHER_WORDS = {"trainval": "train", "dev": "validation"}
"""Others that are seen for parts, and not taken for them."""

WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
OF_PARTS = frozenset({*SPLIT_NAMES, *OTHER_WORDS, "eval", "evaluation", "holdout", "heldout", "partition", "subset"})
OF_PARTS |= {"fold", "folds", "kfold", "split", "splits", "usage"}
"""Words of a column that tells parts apart."""

BESIDE = frozenset({"is", "in", "for", "of", "or", "and", "the", "used", "set", "data", "image", "images", "id", "no"})
BESIDE |= {"k", "cv", "flag"}
"""Words that may stand beside them, as in used_for_training and TestSet."""

NOT_ALONE = frozenset({"train", "training", "split", "splits", "usage", "set"})
"""Names that say too little by themselves: a train is a label of several data sets."""

HAS_PARTS = re.compile(r"(.*[^a-z])?(partition|subset|splits?|k?folds?|usage|hold ?out|evaluation)([^a-z].*)?|set")
FEW_WORDS = 20
"""Different cells of a column that are words for parts; names of files have more."""


def is_of_parts(column: str) -> bool:
    """Return whether a column's name says that it tells parts apart, and nothing that may be in a picture.

    >>> [is_of_parts(name) for name in ("is_valid", "isTrain", "testset", "Fold_1", "train", "split rail")]
    [True, True, True, True, False, False]
    """
    words = _words(column)
    return look(column) not in NOT_ALONE and not OF_PARTS.isdisjoint(words) and {*words} <= OF_PARTS | BESIDE


def may_be_of_parts(column: str) -> bool:
    """Return whether the name of a column that is none of labels says that it tells parts apart, in whatever words.

    >>> [may_be_of_parts(name) for name in ("Usage", "cv_fold", "split_1", "train_or_test", "unfolded")]
    [True, True, True, True, False]
    """
    several = len(SPLIT_NAMES.keys() & {*_words(column)}) > 1
    return is_of_parts(column) or several or HAS_PARTS.fullmatch(look(column)) is not None


def _words(name: str) -> list[str]:
    """Return the words of a name in small letters, also where capitals begin them; of testset, test."""
    words = [word.lower() for word in WORDS.findall(re.sub(r"(?i)(hold|held)[ _-]out", r"\1out", name))]
    return [stem if (stem := word.removesuffix("set")) in SPLIT_NAMES else word for word in words]


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
    return {words[word] for word in _words(text) if word in words}


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
