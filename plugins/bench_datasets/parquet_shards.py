"""Shards as Parquet files, with a column of image bytes and one of labels; images are read a row group at a time."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench import BenchError, DataError, EncodedImages, NotRun, OptionValue, is_remote
from bench_datasets import parquet_check
from bench_datasets.arrow_columns import Columns, content, empty_cells, find_columns, label_values, notes_on
from bench_datasets.cells import meanings
from bench_datasets.own_images import Part
from bench_datasets.typed import entries_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LARGEST_GROUP = 1 << 30
"""Bytes of images in a row group, unpacked; one image cannot be read without its group, so larger ones are refused."""

GROUPS_HELD = 4
"""Row groups in memory: threads that read ahead of one another meet in the same few."""


class ParquetImages(EncodedImages):
    """Images in a column of Parquet files. Threads may read at once: the first that needs a row group unpacks it."""

    def __init__(self, shards: Sequence[Path], footers: Sequence[pq.FileMetaData], column: str) -> None:
        self.column = column
        self.shards, self.footers = tuple(shards), tuple(footers)
        self.groups = [
            (number, group) for number, footer in enumerate(footers) for group in range(footer.num_row_groups)
        ]
        sizes = [footers[number].row_group(group).num_rows for number, group in self.groups]
        self.group_starts: list[int] = [0, *accumulate(sizes)]
        self.shard_starts = [0, *accumulate(footer.num_rows for footer in footers)]
        self._held: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()
        for number, footer in enumerate(footers):
            rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            if min(rows, default=0) < 0 or sum(rows) != footer.num_rows:
                raise DataError(f"{shards[number]}: no whole Parquet file: its row groups do not add up to its rows")
        for number, group in self.groups:
            check_size(shards[number], footers[number].row_group(group), group, column)

    def __len__(self) -> int:
        return self.group_starts[-1]

    def encoded(self, index: int) -> bytes:
        """Return the cell's bytes, or those of the file it names. Raises ``DataError`` with its shard and row."""
        with self._open(index) as file:
            return file.read()

    def describe(self, index: int) -> str:
        """Return the shard's path and the row in it."""
        shard = bisect_right(self.shard_starts, index) - 1
        return f"{self.shards[shard]} row {index - self.shard_starts[shard]}"

    def sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield each image: its bytes as a file of their own."""
        for index in range(len(self)):
            with self._open(index) as file:
                yield file, 0, file.seek(0, 2)

    def _open(self, index: int) -> BinaryIO:
        group = bisect_right(self.group_starts, index) - 1
        with errors_named(Path(self.describe(index))):
            found, _ = content(self._group(group)[index - self.group_starts[group]])
        if found is None:
            raise DataError(f"cannot read image {self.describe(index)}: the row holds no bytes")
        return found

    def _group(self, group: int) -> pa.ChunkedArray:
        with self._lock:
            if group not in self._held:
                number, local = self.groups[group]
                self._held[group] = _read(self.shards[number], self.column, self.footers[number], local)
                if len(self._held) > GROUPS_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(group)
            return self._held[group]


def read_parquet(
    name: str, shards: Sequence[Path], options: Mapping[str, OptionValue], cache: Path | None = None
) -> tuple[Part, Columns]:
    """Return the split called ``name``, its labels as they stand there, and the columns they were read from.

    The shards are read by another process first; ``cache`` keeps that they could be.
    """
    try:
        import pyarrow.parquet as pq  # noqa: F401 - whether it is there
    except ImportError:
        raise NotRun("the package 'pyarrow' is not installed. Try: pip install 'multilabel-bench[parquet]'") from None
    image, label = str(options["image_column"]), str(options["labels_column"])
    each = entries_of(str(options["label_columns"]))
    parquet_check.check(shards, image, label, each, cache)
    part, columns = read_checked(name, shards, image, label, each)
    notes = (f"{name}: {note}" for note in empty_cells(part.labels, columns, meanings(options)))
    return replace(part, notes=(*part.notes, *notes)), columns


def read_checked(
    name: str, shards: Sequence[Path], image: str, label: str, each: Sequence[str] = ()
) -> tuple[Part, Columns]:
    """Return what ``read_parquet`` does, of shards that are known to end no process."""
    footers, labels, columns = [], [], None
    notes: tuple[str, ...] = ()
    for shard in shards:
        with errors_named(shard), opened(shard, image, label, each) as (file, found):
            footers.append(file.metadata)
            labels += label_values(file.read(columns=found.read), found)
            notes = notes_on(file.schema_arrow, found, label, name)
        if found != (columns := columns or found):
            raise DataError(f"{shard}: other columns or classes than {shards[0].name}")
    assert columns is not None
    images = ParquetImages(shards, footers, columns.image)
    ids = tuple(f"{name}/{row}" for row in range(len(images)))
    return Part(name, ids, labels, images, images.describe, notes=notes), columns


@contextmanager
def opened(shard: Path, image: str, labels: str, each: Sequence[str] = ()) -> Iterator[tuple[pq.ParquetFile, Columns]]:
    """Give the open file, and which of its columns hold images and labels."""
    import pyarrow.parquet as pq

    with shard.open("rb") as content, pq.ParquetFile(_source(shard, content)) as file:
        yield file, find_columns(file.schema_arrow, image, labels, str(shard), each)


def check_size(shard: Path, group: pq.RowGroupMetaData, number: int, column: str) -> None:
    """Raise ``DataError`` where a row group holds more bytes of images than may be unpacked at once."""
    chunks = (group.column(place) for place in range(group.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
    if size > LARGEST_GROUP:
        raise DataError(
            f"{shard}: row group {number} holds {size:,} bytes of images, allowed: {LARGEST_GROUP:,}."
            " Write it with fewer rows in a group, as with row_group_size=100"
        )


def _read(shard: Path, column: str, footer: pq.FileMetaData, group: int) -> pa.ChunkedArray:
    import pyarrow.parquet as pq

    with (
        errors_named(shard),
        shard.open("rb") as content,
        pq.ParquetFile(_source(shard, content), metadata=footer) as file,
    ):
        return file.read_row_group(group, columns=[column]).column(0)


def _source(shard: Path, content: BinaryIO) -> Path | BinaryIO:
    """Return what pyarrow reads a shard by: its path, or where it is elsewhere, as on s3://, the open file."""
    return content if is_remote(shard) else shard


@contextmanager
def errors_named(shard: Path) -> Iterator[None]:
    """Turn pyarrow's errors into one line with the shard's path; of a damaged file it raises some of any kind."""
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{shard}: no Parquet file, or not a whole one: {reason}") from None
