"""Your own images: tables of paths and labels, in files train.csv and test.csv, or labels.csv for all."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Option
from bench_datasets.belonging import GROUP, draw, group_of, told_of_drawn, told_of_given
from bench_datasets.cells import NO, SAYS, VALUES, YES, meanings, truth
from bench_datasets.image_places import IMAGES, located
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, ENCODING, read_names, separator
from bench_datasets.label_names import NO_LABEL, ODD_NAMES
from bench_datasets.label_values import LABELS_ARE, SEPARATOR, named
from bench_datasets.listing import counted, elsewhere, is_file, list_images, printable
from bench_datasets.other_forms import exports_there, tables_there, what_is_there
from bench_datasets.own_images import K, Part, assemble, other_parts, part_names
from bench_datasets.part_words import (
    SPLIT_NAMES,
    is_of_parts,
    may_be_of_parts,
    names_part,
    part_of,
    split_named,
    tell_parts_apart,
)
from bench_datasets.tables import (
    DELIMITERS,
    SPLIT_COLUMN,
    Layout,
    Row,
    Table,
    check_label_columns,
    images_of,
    read_table,
    refuse_rows_of_others,
)
from bench_datasets.typed import as_typed, entries_of, typed

if TYPE_CHECKING:
    import numpy as np
else:
    np = bench.lazy_import("numpy")

EXPECTS = (
    "train.csv and test.csv, or labels.csv for all, whose columns are path and labels; paths are relative to the folder"
)
OTHER_FORMS = "Of labels in another form, lines of docs/your-data.md make a table, and it says what to export"
NO_COLUMN = "Try: --set dataset.label_columns=NAME, and --set dataset.values=yes:1 where 1 is written otherwise"

LISTS = frozenset({".txt", ".lst", ".csv", ".tsv", ".json"})
"""Endings of files that may list the images of a split."""


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` where there is one, else sorted."""
    assert request.root is not None
    options, root = request.options, request.root
    layout = Layout(
        str(options["path_column"]),
        str(options["labels_column"]),
        str(options["split_column"]),
        DELIMITERS[str(options["delimiter"])],
        tuple(entries_of(str(options["label_columns"]))),
        tuple(entries_of(str(options["not_labels"]))),
        meanings(options),
        str(options["encoding"]),
        str(options["group_column"]),
        keep=options["odd_names"] == "keep",
    )
    if (layout.columns or layout.others) and layout.labels:
        layout = replace(layout, labels="")
    listed, others, columns, how, notes = _read_parts(request, layout)
    outside = options["outside"] == "allow"
    asked = {"train": request.train_split, "test": request.test_split}
    parts = {part: _part(root, asked.get(part) or part, rows, outside) for part, rows in listed.items()}
    if layout.group:
        parts = {part: replace(read, groups=tuple(map(group_of, listed[part]))) for part, read in parts.items()}
    first = next(iter(parts))
    notes += _unlisted(root, (*listed.values(), others))
    parts[first] = replace(parts[first], notes=(*notes, *parts[first].notes))
    if layout.labels:
        names = root / "labels.txt"
        numbered = options["labels_are"] in {"numbers", "multi-hot"} or any(
            row.labels and str(row.labels)[0] in "[(" for rows in listed.values() for row in rows
        )
        parts = named(parts, read_names(names, numbered=True) if numbered and names.is_file() else (), options)
    return assemble(
        "csv",
        root.absolute().name,
        parts,
        options,
        listed=root / "labels.txt",
        names=columns,
        how=how,
        remedy=f"Is '{separator(options)}' what separates labels?" if layout.labels else NO_COLUMN,
        separator=separator(options) if layout.labels else None,
    )


def _read_parts(
    request: DatasetRequest, layout: Layout
) -> tuple[dict[str, list[Row]], tuple[Row, ...], tuple[str, ...], str, tuple[str, ...]]:
    """Return the rows of each part and those of none, the label columns, how the split came about, and notes."""
    root, images = request.root, str(request.options[IMAGES.name])
    assert root is not None

    def file(name: str) -> Path:
        endings = ("tsv", "csv") if layout.delimiter == "\t" else ("csv",)
        return next((path for ending in endings if (path := root / f"{name}.{ending}").is_file()), root / f"{name}.csv")

    names = part_names(request, lambda name: file(name).is_file())
    files = {part: file(name) for part, name in names.items()}
    if files["train"].is_file() or files["test"].is_file():
        for part in ("train", "test"):
            if not files[part].is_file():
                there = {path.stem for path in root.glob("*.[ct]sv") if names_part(path.stem)}
                other = other_parts(part, (names["train"], names["test"]), there)
                if not other and part == "test":
                    first = "call labels.csv otherwise, then " * file("labels").is_file()
                    other = f". Try: {first}save {files['train'].name} as labels.csv, and a split is drawn"
                raise DataError(f"no file {files[part]}. Expected: {EXPECTS}{other}")
        train = files["train"].name
        alike = (
            f"{train} has it. Try: the columns of {train}, or save {train} alone as labels.csv, and a split is drawn"
        )
        read = {part: read_table(path, layout, alike if path.name != train else "") for part, path in files.items()}
        read = located(root, read, images)
        columns = read["train"].columns
        for part, found in read.items():
            if odd := min({*found.columns} ^ {*columns}, default=""):
                both = [name for name in columns if name in found.columns]
                raise DataError(
                    f"{files[part]} line 1: other label columns than {files['train']}, as '{odd}'"
                    + (f". Try: {typed('label_columns', *both)}" if both else "")
                )
        check_label_columns(list(read.values()), layout, files["train"])
        for part, found in read.items():
            remedy = f"one table labels.csv for all parts, or {as_typed('split_column', '')} to pass that column over"
            refuse_rows_of_others(part, names[part], found.rows, remedy)
        rows = {part: found.rows for part, found in read.items()}
        notes = tuple(note for found in read.values() for note in found.notes)
        unread = [path.name for path in sorted(root.glob("*.[ct]sv")) if path not in files.values()]
        notes += counted("data root", {f"tables not read, as {files['train'].name} is there": unread})
        of_all = all(found.things == read["train"].things for found in read.values())
        notes += told_of_given(rows, read["train"].things if of_all else (), layout.group)
        return rows, (), columns, f"{files['train'].name} and {files['test'].name}", notes
    path = file("labels")
    if not path.is_file():
        tabs = any((root / f"{name}.tsv").is_file() for name in (*names.values(), "labels"))
        hint = ". There are .tsv files. Try: --set dataset.delimiter=tab" if tabs else ""
        hint = hint or tables_there(root, path.name) or what_is_there(root, "csv")
        hint = hint or tables_there(root, path.name, "*/*") or f"{exports_there(root)}. {OTHER_FORMS}"
        raise DataError(f"no file {files['train']} and no {path}. '--data-root' should hold {EXPECTS}{hint}")
    table = located(root, {"labels": read_table(path, layout)}, images)["labels"]
    check_label_columns([table], layout, path)
    if any(row.split for row in table.rows):
        parts, others = _by_column(table.rows, request, layout.split)
        notes = counted("data root", {f"rows of {path.name} are of no part": [row.path for row in others]})
        notes += told_of_given(parts, table.things, layout.group)
        return parts, others, table.columns, f"split by column '{layout.split}'", (*table.notes, *notes)
    parts, how, notes = _drawn(path, table, layout, request)
    return parts, (), table.columns, how, (*table.notes, *notes)


def _drawn(
    path: Path, table: Table, layout: Layout, request: DatasetRequest
) -> tuple[dict[str, list[Row]], str, tuple[str, ...]]:
    """Return train and test as drawn, how, and notes. Raises ``DataError`` where the table seems to tell them apart."""
    if table.splits and layout.split:
        raise DataError(
            f"{path}: column '{table.splits[0]}' tells parts apart, and was not asked for, so a split would be"
            f" drawn. Try: {as_typed('split_column', table.splits[0])},"
            f" or {as_typed('split_column', '')} where it is none"
        )
    if layout.split and (told := _named_for_parts(table.rows)):
        raise DataError(
            f"{path}: {told}, and a split would be drawn over them."
            f" Try: a column '{SPLIT_COLUMN}' of train and test, or {as_typed('split_column', '')} to draw one"
        )
    for drawn, asked in (("train", request.train_split), ("test", request.test_split)):
        if asked not in {None, "", drawn}:
            raise DataError(
                f"{path}: --{drawn}-split: found '{asked}', and no column '{layout.split}' names a part for each row:"
                f" train and test are drawn. Try: without --{drawn}-split"
            )
    fraction, seed = float(request.options["test_fraction"]), int(request.options["split_seed"])
    held = draw(table.rows, fraction, seed, by_group=bool(layout.group))
    parts = {
        "train": [row for number, row in enumerate(table.rows) if number not in held],
        "test": [row for number, row in enumerate(table.rows) if number in held],
    }
    if not (parts["train"] and parts["test"]):
        of = f" of {len({*map(group_of, table.rows)})} in column '{layout.group}'" if layout.group else ""
        few = f"{len(table.rows)} images{of} are too few to split"
        raise DataError(f"{path}: {few}. Try: --set dataset.test_fraction=0.2")
    beside = [one for one in path.parent.iterdir() if one.suffix.lower() in LISTS]
    lists = sorted(one.name for one in beside if names_part(one.stem) or may_be_of_parts(one.stem))
    notes = counted("data root", {"files are not read, as the split is drawn": lists})
    by = f" by column '{layout.group}'" if layout.group else ""
    notes += tuple(
        f"column '{name}' is called as one that tells parts apart, and the split is drawn over it"
        for name in filter(may_be_of_parts, layout.others)
    )
    return parts, f"{fraction:.0%} drawn for test{by} with seed {seed}", (*notes, *told_of_drawn(parts, table.things))


def _named_for_parts(rows: Sequence[Row]) -> str:
    """Return in words how the paths of images tell parts apart, by folders at one depth or their own names; or not."""
    depths: dict[int, set[str]] = {}
    for above in {posixpath.dirname(row.path.replace("\\", "/")) for row in rows}:
        for depth, folder in enumerate(above.split("/")):
            depths.setdefault(depth, set()).add(folder)
    folders = next((sorted(folders) for folders in depths.values() if _are_parts(folders)), [])
    if folders:
        return f"images lie in folders {folders[0]} and {folders[1]}"
    first = {part_of(posixpath.basename(row.path)): posixpath.basename(row.path) for row in reversed(rows)}
    names = sorted(first.values())
    return f"images are called {names[0]:.80} and {names[1]:.80}" if "" not in first and len(first) > 1 else ""


def _are_parts(folders: Collection[str]) -> bool:
    """Return whether folders tell parts apart, by two of them or one that is called as nothing but a part, as fold1."""
    return tell_parts_apart(folders) or (len(folders) > 1 and any(map(is_of_parts, folders)))


def _by_column(
    rows: Sequence[Row], request: DatasetRequest, column: str
) -> tuple[dict[str, list[Row]], tuple[Row, ...]]:
    """Return the rows of each part, train and test being called as asked for, and those of no part."""
    called = {"train": request.train_split or "train", "validation": "validation", "test": request.test_split or "test"}
    # Of a split that is test by its name and train as asked for, the rows are train's.
    of_words = {split_named(called[part]): part for part in ("validation", "test", "train")}
    parts: dict[str, list[Row]] = {part: [] for part in called}
    others: list[Row] = []
    known = {*of_words, *SPLIT_NAMES}
    for row in rows:
        split = split_named(row.split)
        # Where both are asked for, as of folds, all other words are of no part.
        if split not in known and not (split and request.train_split and request.test_split):
            allowed = ", ".join(dict.fromkeys(called.values()))
            named = _named(column, {other.split for other in rows} - {""})
            asked = {"train": request.train_split, "test": request.test_split}
            typed_names = " ".join(f"--{part}-split {name or named.get(part, 'NAME')}" for part, name in asked.items())
            other = f"{typed_names}, or one of these words in each row"
            hint = f". Try: {other if row.split else 'fill it in, or take the line out'}"
            raise DataError(f"{row.place}: split '{row.split}', allowed: {allowed}{hint}")
        (parts[of_words[split]] if split in of_words else others).append(row)
    for part in ("train", "test"):
        if not parts[part]:
            place = rows[0].place.rpartition(" line ")[0]
            there = sorted({split_named(row.split) for row in rows} - {"", *called.values()})
            other = other_parts(part, (), there or ["validation"] * bool(parts["validation"]))
            other = other or f". Try: {as_typed('split_column', '')} to draw a split"
            raise DataError(f"{place}: no row has '{called[part]}' in column '{column}'{other}")
    return {part: found for part, found in parts.items() if found}, tuple(others)


def _named(column: str, words: Collection[str]) -> dict[str, str]:
    """Return the parts that words of a column name, 1 and 0 by what that is called, each with its word.

    >>> _named("is_train", ["1", "0"]), _named("holdout", ["False", "True"]), _named("fold", ["0", "1", "2"])
    ({'train': '1', 'test': '0'}, {'train': 'False', 'test': 'True'}, {})
    """
    flags = {truth(word, SAYS): word for word in words}
    if len(flags) == len(words) and flags.keys() == {YES, NO}:
        train, test = (YES, NO) if part_of(column) == "train" else (NO, YES)
        return {"train": flags[train], "test": flags[test]}
    return {split_named(word): word for word in words if split_named(word) in SPLIT_NAMES}


def _part(root: Path, part: str, rows: Sequence[Row], outside: bool) -> Part:
    rows, images = images_of(root, [_inside(root, row, outside) for row in rows])
    if not outside:
        _refuse_links(root, rows)
    ids = tuple(printable(row.path) for row in rows)
    ignored = [row.ignored for row in rows]
    return Part(
        part,
        ids,
        [row.labels for row in rows],
        images,
        lambda number: rows[number].place,
        ignored if any(ignored) else None,
    )


def _inside(root: Path, row: Row, outside: bool) -> Row:
    """Return the row, an absolute path below ``root`` made relative. Raises ``DataError`` for one outside of it."""
    # As tables have it: of the two slashes of s3://, one is left.
    whole = posixpath.normpath(str(root.absolute()))
    path = posixpath.relpath(row.path, whole) if row.path.startswith(whole.rstrip("/") + "/") else row.path
    # A Windows path, C:\photos\1.jpg, is outside of every folder here; so is ..\1.jpg.
    slashes = posixpath.normpath(path.replace("\\", "/"))
    leaves = slashes == ".." or slashes.startswith(("/", "../")) or slashes[1:3] == ":/"
    if leaves and not outside:
        there = "" if is_file(root / slashes) else elsewhere(root, slashes)
        allow = ". Try: --set dataset.outside=allow to read it there, or another --data-root"
        raise DataError(f"{row.place}: image {row.path[:300]} lies outside the data root {root}{there or allow}")
    return replace(row, path=path)


def _refuse_links(root: Path, rows: Sequence[Row]) -> None:
    """Raise ``DataError`` for the first image that a link below ``root`` leads out of it.

    Each folder is followed once, and each file asked whether it is a link: to follow every path takes far longer.
    """
    whole = root.resolve()
    folders: dict[str, Path] = {}
    for row in rows:
        above, _, name = row.path.rpartition("/")
        if above not in folders:
            folders[above] = (root / above).resolve()
        path = folders[above] / name
        found = path.resolve() if path.is_symlink() else path
        if not found.is_relative_to(whole):
            raise DataError(
                f"{row.place}: image {row.path[:300]} is {found} behind a link, outside the data root {root}."
                " Try: --set dataset.outside=allow to follow it"
            )


def _unlisted(root: Path, listed: Sequence[Sequence[Row]]) -> tuple[str, ...]:
    """Return notes on the images that lie beside listed ones and are in no table."""
    paths = {posixpath.normpath(row.path.replace("\\", "/")) for rows in listed for row in rows}
    known = {unicodedata.normalize("NFC", path) for path in paths}
    missing: list[str] = []
    for folder in sorted({posixpath.dirname(path) for path in paths}):
        if not posixpath.isabs(folder) and (root / folder).is_dir():
            there = list_images(root / folder, deep=False).images
            missing += [
                path
                for name in there
                if unicodedata.normalize("NFC", path := posixpath.join(folder, name)) not in known
            ]
    return counted("data root", {"images beside the listed ones are in no table": missing})


SPEC = DatasetSpec(
    name="csv",
    summary="your own images, from tables of paths and labels",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        Option("path_column", "path", "column of the image files, relative to the data root"),
        IMAGES,
        Option("labels_column", "labels", "column of the label names; empty: each label is a column of 0 and 1"),
        Option("label_columns", "", "where each label is a column: which, as in dog,cat; empty: all that are left"),
        Option("not_labels", "", "where each label is a column: which are none, as in age,is_valid"),
        Option("split_column", SPLIT_COLUMN, "column of labels.csv with train, validation or test; empty: none"),
        Option("delimiter", "comma", "what separates columns; tab reads .tsv files, too", choices=tuple(DELIMITERS)),
        GROUP,
        ENCODING,
        SEPARATOR,
        LABELS_ARE,
        VALUES,
        NO_LABEL,
        ODD_NAMES,
        Option(
            "outside",
            "error",
            "images outside the data root, by .., a whole path, a link",
            choices=("error", "allow"),
        ),
        Option("test_fraction", 0.2, "share drawn for test where no split is given", minimum=0.01, maximum=0.9),
        Option("split_seed", 0, "of that draw", minimum=0),
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
