"""Parquet files of others, read once by a process of its own: what ends that one ends no run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import DataError, as_path, call_apart, canonical_json, digest, kept


def check(shards: Sequence[Path], image: str, labels: str, each: Sequence[str], cache: Path | None) -> None:
    """Raise ``DataError`` unless another process could read all of the shards; what it could is noted in ``cache``."""
    if cache is None:
        _in_another_process(shards, image, labels, each)
        return
    try:
        states = [(shard.stat().st_size, shard.stat().st_mtime_ns, shard.stat().st_ino) for shard in shards]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from None
    key = digest(canonical_json([2, list(map(str, shards)), image, labels, list(each), states]))

    def make() -> bytes:
        _in_another_process(shards, image, labels, each)
        return b"whole"

    kept(cache / "shards" / f"{key}.whole", key, make, f"whether {shards[0].name} is whole")


def _in_another_process(shards: Sequence[Path], image: str, labels: str, each: Sequence[str]) -> None:
    named = shards[0] if len(shards) == 1 else f"{shards[0]} and {len(shards) - 1} more"
    call_apart(
        "bench_datasets.parquet_check:read_all",
        {"shards": list(map(str, shards)), "image": image, "labels": labels, "each": list(each)},
        refused=f"{named}: no Parquet file, or a damaged one",
        size=sum(shard.stat().st_size for shard in shards if shard.is_file()),
    )


def read_all(shards: Sequence[str], image: str, labels: str, each: Sequence[str] = ()) -> None:
    """Read of ``shards`` whatever will be read. Raises ``DataError`` with one line for what pyarrow refuses.

    ``image``, ``labels`` and ``each`` are the names of their columns that were given, or empty.
    """
    from bench_datasets.parquet_shards import check_size, errors_named, opened

    for shard in map(as_path, shards):
        with errors_named(shard), opened(shard, image, labels, each) as (file, columns):
            file.read(columns=columns.read).to_pylist()
            for group in range(file.metadata.num_row_groups):
                check_size(shard, file.metadata.row_group(group), group, columns.image)
                file.read_row_group(group, columns=[columns.image]).column(0).validate(full=True)
