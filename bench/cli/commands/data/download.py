"""``bench data download``: a data set's official archives."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.datasets import NamedDataset
from bench.show.console import put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contracts import Archive

EXAMPLES = """Examples:

  bench data download voc2007 --out voc

  bench data download voc2007 --out voc --keep"""

RATE = 10e6
"""Bytes a second, of an ordinary line, for the time that is said beforehand."""


def download(
    name: NamedDataset,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to unpack into: the data root.")],
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives once they are unpacked.")] = False,
) -> None:
    """Fetch a data set's official archives, check them, and unpack them; a stopped download is continued."""
    from bench import plugins
    from bench.data.download import checksum, fetch, place
    from bench.data.unpack import extract
    from bench.data.unpacked import remember, unpacked
    from bench.errors import DataError, NotRun
    from bench.system.locks import exclusive

    spec = plugins.installed().dataset(name).spec
    if not spec.archives and not spec.expects:
        raise NotRun(f"'{name}' is built in, so there is nothing to fetch. Try: bench data stats {name}")
    if not spec.archives:
        raise NotRun(f"'{name}' has no archives that may be fetched. '--data-root' should hold: {spec.expects}")
    with contextlib.ExitStack() as stack:
        try:
            # A second process of the same command would write the same files.
            stack.enter_context(exclusive(out / "downloads.lock", f"the archives of {name}"))
        except OSError as error:
            raise DataError(f"cannot write to {out}: {error.strerror or error}. Try: another --out") from error
        downloads, missing = out / "downloads", []
        for archive in spec.archives:
            if count := unpacked(archive, downloads, out / archive.folder):
                put(f"{place(archive, downloads).name}: {count:,} files are already in {out / archive.folder}")
            else:
                missing.append(archive)
        _announce(name, missing, out)
        for archive in missing:
            path = fetch(archive, downloads)
            published = "SHA-256" if archive.sha256 else "MD5" if archive.md5 else ""
            how = (
                f"{published} as published" if published else f"no published checksum; its SHA-256 is {checksum(path)}"
            )
            put(f"{path.name}: {path.stat().st_size / 1e6:,.1f} MB, {how}")
            files = extract(path, out / archive.folder)
            remember(archive, downloads, files)
            put(f"{path.name}: {len(files):,} files to {out / archive.folder}")
            if not keep:
                path.unlink()
    root = shlex.quote(str(out))
    put(f"next        bench data verify {name} --data-root {root}")
    put(f"            bench run --model cnn-rnn --dataset {name} --data-root {root}")


def _announce(name: str, archives: Sequence[Archive], out: Path) -> None:
    """Say how much comes, and how long it may take. Raises ``DataError`` where the disk has no room for it."""
    from bench.data.download import still_to_fetch
    from bench.errors import DataError

    size, left = sum(archive.size for archive in archives), still_to_fetch(archives, out / "downloads")
    if not size:
        return
    # The archives hold JPEG files, which do not shrink: unpacked they take about the same again.
    needed, free = left + size, shutil.disk_usage(out).free
    put(
        f"{name}: {left / 1e9:.2f} of {size / 1e9:.2f} GB to fetch, about {left / RATE / 60:.0f} minutes at"
        f" {RATE / 1e6:.0f} MB/s; unpacked as much again; {out} has {free / 1e9:.1f} GB free"
    )
    if needed > free:
        raise DataError(
            f"{out} has {free / 1e9:.1f} GB free, {name} takes {needed / 1e9:.1f} GB until its archives are"
            " removed. Try: --out DIR on a larger disk"
        )
