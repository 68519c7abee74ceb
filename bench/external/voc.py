"""Predictions as the VOC devkit takes them: a text file for each class, with an image id and a score a line."""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import DataError
from bench.external.given import Pairs, decoded, floats

NAME = re.compile(r"[^_]+_cls_[^_]+_(?P<label>.+)\.txt", re.DOTALL)
"""How the devkit calls a class's file: ``<competition>_cls_<split>_<class>.txt``."""


def read_folder(files: dict[Path, bytes], place: str) -> Pairs:
    """Return what the files of a folder hold, by the class that each file's name says."""
    images: list[str] = []
    labels: list[str] = []
    scores: list[str] = []
    for path, content in files.items():
        label = label_of(path.name)
        for number, line in enumerate(decoded(content, str(path)).splitlines(), 1):
            cells = line.split()
            if len(cells) != 2:
                raise DataError(f"{path}: line {number} has {len(cells)} cells, allowed: an image id and a score")
            images.append(cells[0])
            scores.append(cells[1])
            labels.append(label)
    values = floats(scores, place)
    return Pairs(place, images, labels, values, frozenset(images))


def label_of(name: str) -> str:
    """Return the class of a result file. Raises ``DataError`` for a file that is called otherwise.

    >>> label_of("comp1_cls_test_aeroplane.txt")
    'aeroplane'
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise DataError(f"file '{name}' is called otherwise than VOC's results, <comp>_cls_<split>_<class>.txt")
    return found["label"]
