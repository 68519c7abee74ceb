"""``bench results merge``: the runs of archives, added to a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import up_to_date
from bench.cli.options import STORE, store_here
from bench.show.console import put, say

EXAMPLES = """Examples:

  bench results merge results.tar

  bench results merge mine.tar theirs.tar --out all"""


def merge_archives(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help="Files of bench results pack.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of runs that they are added to, or an address as s3://bucket/runs.",
            callback=store_here,
        ),
    ] = STORE,
) -> None:
    """Check the runs of archives as bench validate does, and add them to a store: all of them, or none.

    Tables and report then show them with the archive that they came from. Runs on other data, by fingerprint, stand in
    tables of their own. That their scores are a model's is taken on trust: weights are in no archive.
    """
    from bench.show import tables
    from bench.store import runs as stored_runs
    from bench.store.following import runs_of
    from bench.store.merge import merge

    for one in merge(archives, up_to_date(out)):
        known = f", {len(one.present)} stored already" if one.present else ""
        runs = "1 run" if len(one.added) == 1 else f"{len(one.added)} runs"
        put(f"{one.archive}: {runs} added{known}")
        for folder in one.added:
            put(f"  {folder.path}")
    for name, group in tables.by_dataset([folder.summary() for folder in stored_runs.find(out)]).items():
        prints = {str(run.config["dataset"].get("fingerprints")) for run in group if run.measures is not None}
        if len(prints) > 1:
            say(
                f"note: runs on '{name}' are now of {len(prints)} sets of images and labels, by their fingerprints, and"
                " share no table. bench report shows each; bench table takes the keys of those of one"
            )
    place = runs_of(out)
    put(f"next: bench table{place}; bench report{place} --out report.html")
