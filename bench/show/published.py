"""The paper's Tables 1-4 as printed, cell by cell, from ``published.json``.

A printed value is never corrected. Where it cannot follow from the values printed beside it, it is marked
suspect with the reason, and with the value that would fit where there is one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PAPER_BACKBONE = "vgg16"


@dataclass(frozen=True, slots=True)
class PublishedColumn:
    """A column as the paper heads it, and the name of our measure; ``AP <label>`` is one class's AP."""

    name: str
    measure: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a printed value is doubted; ``repair`` is the value that would fit, if one does."""

    why: str
    repair: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A printed row: values in percent by column name, only those printed; ``reference`` is the paper's, as in [9].

    ``backbone`` is what the row's method looks at pictures with, as this benchmark calls it: for most, VGG-16.
    """

    name: str
    reference: str
    values: dict[str, float]
    suspect: dict[str, Suspicion]
    backbone: str = PAPER_BACKBONE

    @property
    def label(self) -> str:
        """Return the row's name as printed."""
        return f"{self.name} {self.reference}".strip()


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One of the paper's tables. ``protocol`` is the family that measures it here, without its version.

    ``datasets`` are what it is measured on, as this benchmark calls it, the usual name first; ``train`` is the part
    trained on, ``labels`` how many there are. ``test_images`` are the sizes that the paper's test part may have had,
    ``positives`` the labels that its images hold, counted over images; empty, and 0, where it is not known.
    """

    number: int
    title: str
    protocol: str
    datasets: tuple[str, ...]
    train: str
    labels: int
    test_images: tuple[int, ...]
    positives: int
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    @property
    def dataset(self) -> str:
        """Return the usual name of the data set."""
        return self.datasets[0]


@cache
def source() -> str:
    """Return where the values were printed."""
    return str(_content()["source"])


@cache
def tables() -> tuple[PublishedTable, ...]:
    """Return Tables 1-4 in order."""
    content = _content()
    suspicions: dict[tuple[int, str], dict[str, Suspicion]] = {}
    for entry in content["suspect"]:
        cells = suspicions.setdefault((entry["table"], entry["row"]), {})
        cells[entry["column"]] = Suspicion(entry["why"], entry.get("repair"))
    built = []
    for table in content["tables"]:
        columns = tuple(PublishedColumn(**column) for column in table["columns"])
        rows = []
        for row in table["rows"]:
            printed = zip(columns, row["values"], strict=True)
            values = {column.name: value for column, value in printed if value is not None}
            suspect = suspicions.get((table["number"], row["name"]), {})
            backbone = row.get("backbone", PAPER_BACKBONE)
            rows.append(PublishedRow(row["name"], row["reference"], values, suspect, backbone))
        about = {name: table[name] for name in ("number", "title", "protocol", "train", "labels")}
        about |= {name: tuple(table[name]) for name in ("datasets", "test_images")}
        about["positives"] = table.get("positives", 0)
        built.append(PublishedTable(**about, columns=columns, rows=tuple(rows)))
    return tuple(built)


def _content() -> Any:
    return json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
