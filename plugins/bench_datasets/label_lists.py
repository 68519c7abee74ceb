"""What the data sets share: text files read with care, names looked up, labels without images left out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from bench import DataError, Option
from bench.records import BoolArray

ABSENT = Option(
    "absent_labels",
    "error",
    "labels without an image in train: refuse, or leave them out of the data set and say so",
    choices=("error", "drop"),
)


def read_lines(path: Path, expected: str) -> list[tuple[int, str]]:
    """Return (line number from 1, text) of each line that is not blank; ``expected`` says what the file should be.

    Windows line ends are accepted. Raises as ``read_text`` does.
    """
    return [(number, line) for number, line in enumerate(read_text(path, expected).splitlines(), 1) if line.strip()]


def read_text(path: Path, expected: str) -> str:
    """Return the text of a file, without a byte-order mark. Raises ``DataError`` where it is absent or not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no file {path}. Expected there: {expected}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{path} line {line}: not UTF-8 text. Expected: {expected}") from None


def matrix(label_sets: Sequence[Collection[int]], labels: int) -> BoolArray:
    """Return label indices per image as truth, (images, ``labels``) bool."""
    truth = np.zeros((len(label_sets), labels), dtype=np.bool_)
    rows = np.repeat(np.arange(len(label_sets)), np.fromiter(map(len, label_sets), dtype=np.intp))
    truth[rows, np.fromiter(itertools.chain.from_iterable(label_sets), dtype=np.intp, count=len(rows))] = True
    return truth


def labels_kept(train: BoolArray, absent: str) -> BoolArray:
    """Return which labels stay, (labels,) bool: all, or with ``absent="drop"`` those with an image in train."""
    return train.any(axis=0) if absent == "drop" else np.ones(train.shape[1], dtype=np.bool_)
