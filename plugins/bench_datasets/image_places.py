"""Where the images of a table lie: a pattern about the cell of its path column, given or proposed."""

from __future__ import annotations

import itertools
import posixpath
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import DataError, Option, UsageError
from bench_datasets.listing import begun_below, find_file, found_below, is_hidden, printable
from bench_datasets.tables import Row, Table
from bench_datasets.typed import as_typed

CELL = "{}"
IMAGES = Option(
    "images",
    "",
    "where the images lie, {} standing for a cell of the path column, as in photos/{}.jpg or */{}; empty: {}",
)


def located(root: Path, tables: Mapping[str, Table], pattern: str) -> dict[str, Table]:
    """Return the tables with paths below ``root``, by the option ``images``.

    Raises ``DataError`` where it is empty and the first image of a table lies elsewhere, with the pattern for all.
    """
    if not pattern:
        _propose(root, tables)
        return dict(tables)
    whole = pattern if CELL in pattern else f"{pattern.rstrip('/')}/{CELL}"
    before, _, after = whole.partition(CELL)
    folder, prefix = posixpath.split(before)
    if CELL in after or "*" in prefix + after or ("*" in folder and folder.startswith("/")):
        raise UsageError(
            f"option images: found '{pattern}', allowed: {CELL} once, and * in the folders before it that lie in the"
            " data root. Try: --set 'dataset.images=*/{}.jpg'"
        )
    return {key: replace(table, rows=_placed(root, table.rows, whole)) for key, table in tables.items()}


def _placed(root: Path, rows: Sequence[Row], pattern: str) -> list[Row]:
    """Return the rows, each with its path by the pattern. Raises ``DataError`` where * stands for none or several."""
    before, _, after = pattern.partition(CELL)
    folder, prefix = posixpath.split(before)
    if "*" not in folder:
        return [replace(row, path=posixpath.normpath(before + row.path + after)) for row in rows]
    found_there = (path.relative_to(root) for path in root.glob(folder) if path.is_dir())
    folders = sorted(path.as_posix() for path in found_there if not any(map(is_hidden, path.parts)))
    names: dict[str, list[str]] = {}
    for place in folders:
        for file in (root / place).iterdir():
            names.setdefault(file.name, []).append(place)
    found = []
    for row in rows:
        name = posixpath.normpath(prefix + row.path + after)
        places = names.get(name) or [place for place in folders if find_file(root / place, name)]
        if len(places) != 1:
            both = " or ".join(printable(posixpath.normpath(posixpath.join(place, name))) for place in places[:2])
            there = f"it may be {both}. Try: write paths so" if places else f"there is none in {folder}"
            raise DataError(f"{row.place}: image {printable(row.path)[:300]}: {there}")
        found.append(replace(row, path=posixpath.normpath(posixpath.join(places[0], name))))
    return found


def _propose(root: Path, tables: Mapping[str, Table]) -> None:
    """Raise ``DataError`` with what to type where the first image of a table is not there, and a pattern finds all."""
    rows = [row for table in tables.values() for row in table.rows]
    if len({row.path for row in rows}) < len(rows):  # 1 of train and 1 of test are two images, in no one place
        return
    for table in tables.values():
        row = table.rows[0]
        if row.path.startswith(("/", "..")) or find_file(root, row.path):
            continue
        found = found_below(root, row.path) or begun_below(root, row.path)
        working = list(dict.fromkeys(filter(None, (_pattern(root, rows, row.path, file) for file in found))))
        if working:
            there = f"There {'are' if len(found) > 1 else 'is'} {' and '.join(map(printable, found))}"
            options = ", or ".join(as_typed(IMAGES.name, pattern) for pattern in working)
            raise DataError(f"{row.place}: no image file {printable(row.path)[:300]}. {there}. Try: {options}")


def _pattern(root: Path, rows: Sequence[Row], cell: str, file: str) -> str:
    """Return the pattern by which ``cell`` is ``file`` and all rows are found, with as few * as can be; or nothing.

    >>> _pattern(Path("nowhere"), [], "a", "photos/a.jpg")
    'photos/{}.jpg'
    """
    cell, file = (unicodedata.normalize("NFC", text) for text in (cell, file))
    stem, ending = (file, "") if file.endswith(cell) else posixpath.splitext(file)
    above, name = posixpath.split(file)
    if "/" not in cell and name.startswith(cell) and name != cell:  # whatever stands behind it
        stem, ending = posixpath.join(above, cell), name[len(cell) :]
    if not f"/{stem}".endswith(f"/{cell}"):
        return ""
    parts = stem[: -len(cell)].split("/")[:-1]
    stars = sorted(itertools.product((False, True), repeat=len(parts)), key=sum)
    places = [["*" if star else part for part, star in zip(parts, which, strict=True)] for which in stars]
    for folders in [*places, ["**"]]:
        pattern = "/".join([*folders, f"{CELL}{ending}"])
        try:
            if all(find_file(root, row.path) for row in _placed(root, rows, pattern)):
                return pattern
        except DataError:
            continue
    return ""
