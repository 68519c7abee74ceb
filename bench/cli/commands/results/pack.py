"""``bench results pack``: finished runs in one archive."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import finished_folders, none_found, run_folders
from bench.cli.options import STORE, OneDataset, RunNames, RunsFolder
from bench.show.console import put

EXAMPLES = """Examples:

  bench results pack --out results.tar

  bench results pack 9b2f 41aa --by 'A. Reader, 2 cores' --out two.tar"""


def pack_runs(  # noqa: PLR0917 - the parser passes options by name
    names: RunNames = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The archive to write.")] = Path("results.tar"),
    store: RunsFolder = STORE,
    dataset: OneDataset = "",
    by: Annotated[str, typer.Option("--by", metavar="TEXT", help="Who made them, as others' tables will say.")] = "",
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also the small pictures of test images that the report shows.")
    ] = False,
) -> None:
    """Write finished runs to one archive: configs, measures, truth, predictions, scores, hashes.

    No pictures unless asked for, no weights, no paths of this machine; ids of images and names of labels are in it. The
    same runs give the same bytes. Others add it with bench results merge.
    """
    from bench.errors import StoreError
    from bench.store.pack import pack

    finished = finished_folders(run_folders(names, store, dataset))
    if not finished:
        raise StoreError(none_found(store, dataset, "finished"))
    index = pack(finished, out, by, pictures=pictures)
    from bench.system.files import sha256_of

    runs = "1 run" if len(index.runs) == 1 else f"{len(index.runs)} runs"
    put(f"{out}: {runs}, {out.stat().st_size:,} bytes, SHA-256 {sha256_of(out)}")
    put(f"next, wherever its rows are to stand: bench results merge {shlex.quote(str(out))}")
