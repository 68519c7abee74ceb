"""``bench report``: stored runs as one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import run_summaries
from bench.cli.options import STORE, Cache, OneDataset, RunNames, RunsFolder
from bench.show.console import put, say

EXAMPLES = """Examples:

  bench report --out report.html

  bench report --dataset digit-scenes 9b2f 41aa"""

Resamples = Annotated[
    int | None,
    typer.Option("--resamples", min=0, help="Of the test images, for error bars; 0: none. As many as time allows."),
]


def report(  # noqa: PLR0917 - the parser passes options by name
    runs: RunNames = None,
    store: RunsFolder = STORE,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    dataset: OneDataset = "",
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "Multi-label image classification",
    resamples: Resamples = None,
    cache: Cache = None,
) -> None:
    """Write one page with tables, error bars, figures, test images and provenance; it opens from disk, anywhere.

    The page is there at once, and again when its error bars are drawn: they are kept for the next report. Needs neither
    torch nor the data set nor a network. Runs that do not compare stand in tables of their own.
    """
    from bench.show import paper_tables, published
    from bench.show.report import gather, page
    from bench.store.resamples import kept_in
    from bench.system.files import default_cache, write_atomic
    from bench.system.progress import progress_shown

    summaries = run_summaries(runs, store, dataset)
    groups = gather.groups(summaries)
    ledgers = paper_tables.of_installed(published.tables(), summaries)
    drawn = page.drawings(groups)
    content = page.render(groups, drawn, ledgers, title).encode()
    write_atomic(out, content)
    if resamples != 0:
        if progress_shown():
            say(f"{out}: tables and figures are there; error bars follow", file=sys.stderr)
        draw = kept_in(cache or default_cache())
        groups = [gather.with_error_bars(group, resamples, draw) for group in groups]
        content = page.render(groups, drawn, ledgers, title).encode()
        write_atomic(out, content)
    counts = f"{len(summaries)} runs, {sum(len(group.figures) for group in groups)} figures"
    put(f"{out}: {counts}, {len(content) / 1e6:.1f} MB")
