"""``bench policy``: stored runs under another label-set policy, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.choose import finished_folders, run_folders
from bench.cli.options import STORE, OtherPolicy, RunsFolder, TableFormat
from bench.errors import UsageError
from bench.show.console import put
from bench.show.result_tables import print_tables

EXAMPLES = """Examples:

  bench policy runs/digit-scenes/bce/4f1c09d2a7b3e865 --policy threshold

  bench policy runs/digit-scenes/bce 9ab1 --policy at-most-k"""


def policy(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUNS", help="Rows of bench runs, first digits of keys, or folders."),
    ],
    policy: OtherPolicy = "",
    store: RunsFolder = STORE,
    style: TableFormat = "terminal",
) -> None:
    """Store finished runs under another label-set policy, beside the ones that are there, and print their table.

    What the policy chooses is chosen on the stored validation part. Nothing is trained or predicted again: the runs are
    those that bench run --policy NAME would make.
    """
    from bench.show import tables
    from bench.show.rendering import check_format
    from bench.store.derived import derive
    from bench.store.runs import each_once

    check_format(style)
    if not policy:
        raise UsageError("--policy: found none, allowed: a name. Try: --policy threshold. See: bench list policies")
    folders = run_folders(runs, store)
    finished = finished_folders(folders)
    found = (derive(folder, policy) for folder in finished or folders)
    derived = list({folder.path: folder for folder in found}.values())
    summaries = each_once(folder.summary() for folder in derived)
    groups = [part for group in tables.by_dataset(summaries).values() for part in tables.by_policy(group)]
    print_tables([tables.build(group) for group in groups], style)
    if style == "terminal":
        put()
        for folder in derived:
            put(f"run folder  {folder.path}")
