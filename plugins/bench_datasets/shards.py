"""Your own images in shards, on one disk or several: tar files as WebDataset writes them, or Parquet files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Option
from bench_datasets.arrow_columns import IMAGE_COLUMN, LABEL_COLUMNS, LABELS_COLUMN, Columns
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, read_names, separator
from bench_datasets.label_values import LABEL_OPTIONS, LABELS_ARE, named
from bench_datasets.listing import counted
from bench_datasets.other_forms import what_is_there
from bench_datasets.own_images import NAMES, K, Part, assemble, part_names
from bench_datasets.parquet_shards import read_parquet
from bench_datasets.shard_lists import SUFFIXES, find_shards
from bench_datasets.tar_shards import LABELS_FIELD, LABELS_MEMBER, read_tar

EXPECTS = (
    "shards train-000.tar, test-000.tar, ... (WebDataset: <key>.jpg with <key>.json, .cls or .txt) or .parquet,"
    " or train.txt and test.txt that list their paths"
)


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` in the data root, else of their classes."""
    options, root = request.options, request.root
    parts: dict[str, Part] = {}
    columns: dict[str, Columns] = {}
    names = part_names(request, lambda name: bool(find_shards(root, name, "")))
    if options["validation"]:
        names["validation"] = "validation"
    used: set[Path] = set()
    for part, name in names.items():
        shards = find_shards(root, name, str(options[part]))
        used.update(shards)
        kinds = {shard.suffix for shard in shards}
        if len(kinds) != 1:
            found = (
                "both .tar and .parquet" if kinds else f"no {name}-*.tar, {name}-*.parquet, {name}.txt or folder {name}"
            )
            usual = f". Try: --data-root DIR, --{part}-split NAME, or --set dataset.{part}=PATTERN"
            other = what_is_there(root, "shards") if root is not None and not kinds else ""
            raise DataError(f"shards of '{name}' in {root or 'no data root'}: {found}{other or usual}")
        if kinds == {".tar"}:
            member, field = str(options["labels_member"]), str(options["labels_field"])
            parts[part] = read_tar(name, shards, member, field, request.cache)
        else:
            parts[part], columns[part] = read_parquet(name, shards, options, request.cache)
    there = sorted(root.iterdir()) if root is not None else []
    unread = [path.name for path in there if path.suffix in SUFFIXES and path not in used]
    notes = counted("data root", {"shards of no part": unread})
    parts["train"] = replace(parts["train"], notes=(*notes, *parts["train"].notes))
    classes = {part: found.names for part, found in columns.items() if found.names}
    if len(set(classes.values())) > 1:
        raise DataError(f"shards of {' and '.join(classes)}: their classes differ")
    of, given = next(iter(classes.items()), ("", ()))
    for part in columns.keys() - classes.keys() if given else ():
        note = f"{names[part]}: its shards name no classes, so numbers in them are read as those of {names[of]}"
        parts[part] = replace(parts[part], notes=(*parts[part].notes, note))
    listed = None if root is None else root / "labels.txt"
    called = given or (read_names(listed, numbered=True) if listed is not None and listed.is_file() else ())
    sure = any(found.numbers for found in columns.values())
    each = any(found.each for found in columns.values())
    if each:
        options = {**options, LABELS_ARE.name: "multi-hot"}
    return assemble(
        "shards",
        root.absolute().name if root else "shards",
        named(parts, called, options, sure=sure, objects=any(found.field for found in columns.values())),
        options,
        listed=listed,
        names=given,
        remedy="Do the samples hold labels? See docs/your-data.md",
        separator=None if sure or each else separator(options),
    )


SPEC = DatasetSpec(
    name="shards",
    summary="your own images in shards: WebDataset's .tar, or .parquet; on several disks, too",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        *(Option(part, "", f"{part} shards, as in {part}-{{000..127}}.tar; empty: by name") for part in NAMES),
        LABELS_MEMBER,
        LABELS_FIELD,
        IMAGE_COLUMN,
        LABELS_COLUMN,
        LABEL_COLUMNS,
        *LABEL_OPTIONS,
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    root_optional=True,
    splits=("train", "test"),
    source="docs/your-data.md",
)
