"""Parquet files of others, read once by a process of its own: what ends that one ends no run.

A damaged file can make pyarrow call ``abort``, or ask for any memory; both are out of reach of an ``except``. So all
that will be read of it is read here first, ``python -P -m bench_datasets.parquet_check``, with bounded memory. Standard
input is JSON: ``shards``, and the names of their columns that were given, ``image`` and ``labels``. Exit code 2: a
reason on standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import DataError, as_path, canonical_json, digest, kept

MOST_MEMORY = 8 << 30
"""Address space of the process: four row groups as large as they may be, and pyarrow's own."""

SECONDS, BYTES_A_SECOND = 120, 5_000_000
"""How long the process may take: so long, and a second more for each so many bytes; two thousand times the usual."""


def check(shards: Sequence[Path], image: str, labels: str, cache: Path | None) -> None:
    """Raise ``DataError`` unless another process could read all of the shards; what it could is noted in ``cache``."""
    if cache is None:
        _in_another_process(shards, image, labels)
        return
    try:
        states = [(shard.stat().st_size, shard.stat().st_mtime_ns, shard.stat().st_ino) for shard in shards]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from None
    key = digest(canonical_json([1, list(map(str, shards)), image, labels, states]))

    def make() -> bytes:
        _in_another_process(shards, image, labels)
        return b"whole"

    kept(cache / "shards" / f"{key}.whole", key, make, f"whether {shards[0].name} is whole")


def _in_another_process(shards: Sequence[Path], image: str, labels: str) -> None:
    asked = {"shards": list(map(str, shards)), "image": image, "labels": labels}
    named = shards[0] if len(shards) == 1 else f"{shards[0]} and {len(shards) - 1} more"
    size = sum(shard.stat().st_size for shard in shards if shard.is_file())
    command = [sys.executable, "-P", "-m", "bench_datasets.parquet_check"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS + size / BYTES_A_SECOND,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{named}: no Parquet file, or a damaged one: reading it does not end") from None
    if done.returncode == 2:
        raise DataError(done.stdout.strip())
    if done.returncode:
        how = (
            f"signal {-done.returncode}"
            if done.returncode < 0
            else (done.stderr.strip().splitlines() or ["no word"])[-1]
        )
        raise DataError(f"{named}: no Parquet file, or a damaged one: reading it ended the process that did ({how})")


def read_all(shard: Path, image: str, labels: str) -> None:
    """Read of ``shard`` whatever will be read. Raises ``DataError`` with one line for what pyarrow refuses."""
    from bench_datasets.parquet_shards import check_size, errors_named, opened

    with errors_named(shard), opened(shard, image, labels) as (file, columns):
        file.read(columns=[columns.labels]).column(0).to_pylist()
        for group in range(file.metadata.num_row_groups):
            check_size(shard, file.metadata.row_group(group), group, columns.image)
            file.read_row_group(group, columns=[columns.image]).column(0).validate(full=True)


def main() -> int:
    """Read what standard input names."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin)
    for shard in asked["shards"]:
        try:
            read_all(as_path(shard), asked["image"], asked["labels"])
        except DataError as error:
            sys.stdout.write(f"{error}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
