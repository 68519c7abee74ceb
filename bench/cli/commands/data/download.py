"""``bench data download``: a data set's official archives."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.datasets import NamedDataset
from bench.show.console import put


def download(
    name: NamedDataset,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to unpack into: the data root.")],
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives once they are unpacked.")] = False,
) -> None:
    """Fetch a data set's official archives, check them, and unpack them; a stopped download is continued."""
    from bench import plugins
    from bench.data.download import checksum, fetch
    from bench.data.unpack import extract
    from bench.errors import DataError, NotRun
    from bench.system.locks import exclusive

    spec = plugins.installed().dataset(name).spec
    if not spec.archives:
        raise NotRun(
            f"'{name}' has no archives that may be fetched. '--data-root' should hold: {spec.expects or 'nothing'}"
        )
    with contextlib.ExitStack() as stack:
        try:
            # A second process of the same command would write the same files.
            stack.enter_context(exclusive(out / "downloads.lock", f"the archives of {name}"))
        except OSError as error:
            raise DataError(f"cannot write to {out}: {error.strerror or error}. Try: another --out") from error
        fetched = []
        for archive in spec.archives:
            path = fetch(archive, out / "downloads")
            fetched.append(path)
            how = "MD5 as published" if archive.md5 else f"no published checksum; its MD5 is {checksum(path)}"
            put(f"{path.name}: {path.stat().st_size / 1e6:,.1f} MB, {how}")
            put(f"{path.name}: {extract(path, out / archive.folder):,} files to {out / archive.folder}")
        if not keep:
            for path in fetched:
                path.unlink()
    put(f"next        bench data verify {name} --data-root {out}")
