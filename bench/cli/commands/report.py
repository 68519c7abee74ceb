"""``bench report``: stored runs as one page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import run_summaries
from bench.cli.options import STORE, Cache, OneDataset, RunNames, RunsFolder
from bench.errors import UsageError
from bench.show.console import put, say

EXAMPLES = """Examples:

  bench report --out report.html

  bench report --dataset digit-scenes 9b2f 41aa"""

Resamples = Annotated[
    int | None,
    typer.Option("--resamples", min=0, help="Of the test images, for error bars; 0: none. As many as time allows."),
]
FEWEST = 40
"""Of fewer resamples none lies beyond the middle 95 %, and one has no width, so that all rows were told apart."""

FOLLOWS = "error bars and pictures are not here yet: where this line stays, the command was stopped; the same goes on"
"""What the first page says, which may lie where a whole one lay."""

Shown = Annotated[
    int,
    typer.Option(
        "--images", min=0, metavar="N", help="Test images with errors that are shown, surest mistakes first; 0: none."
    ),
]
Duplicates = Annotated[
    bool | None,
    typer.Option(
        "--duplicates/--no-duplicates",
        help="Look for test images that stand twice, or in train. Without it: among 20,000 images or fewer.",
    ),
]


def report(  # noqa: PLR0917 - the parser passes options by name
    runs: RunNames = None,
    store: RunsFolder = STORE,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    dataset: OneDataset = "",
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Heading of the page.")
    ] = "Multi-label image classification",
    resamples: Resamples = None,
    images: Shown = 2500,
    duplicates: Duplicates = None,
    cache: Cache = None,
) -> None:
    """Write one page with tables, error bars, figures, errors and provenance; it opens from disk, anywhere.

    The page is there at once, and again when error bars and pictures are there: both are kept for the next report.
    Needs neither torch nor a network; pictures beyond the stored ones come from the data set, where it lies as it lay
    when the run was made. Of many pictures, those further down lie in a folder beside the page. Runs that do not
    compare stand in tables of their own.
    """
    from bench.cli.pictures import opened
    from bench.show import paper_tables, published
    from bench.show.report import contents, gather, order, page, side_folder
    from bench.show.report.pictures import with_pictures
    from bench.store.resamples import kept_in
    from bench.system.files import default_cache, write_atomic
    from bench.system.progress import progress_shown

    if resamples is not None and 0 < resamples < FEWEST:
        raise UsageError(
            f"--resamples: found {resamples}, allowed: 0, none, or from {FEWEST}, of which 95 % are not all. Try: 1000"
        )
    summaries, kept = run_summaries(runs, store, dataset), cache or default_cache()
    groups = gather.groups(summaries)
    found = [contents.of_group(group, images) for group in groups]
    ledgers = paper_tables.of_installed(order.of_paper(published.tables(), summaries), summaries)
    drawn = page.drawings(groups)
    folder = side_folder.beside(out)

    def write(*remark: str) -> tuple[int, dict[str, bytes]]:
        """Write what is known, pictures before the page that shows them, and return how large it is."""
        pictures = side_folder.Pictures(folder.name)
        shown = [replace(group, remarks=(*remark, *group.remarks)) for group in groups]
        content = page.render(shown, drawn, ledgers, title, found, pictures=pictures).encode()
        side_folder.write(folder, pictures.files)
        write_atomic(out, content)
        return len(content), pictures.files

    follows = (FOLLOWS,) if images or resamples != 0 else ()
    size, files = write(*follows)
    if follows and progress_shown():
        say(f"{out}: tables and figures are there; error bars and pictures follow", file=sys.stderr)
    if resamples != 0:
        draw = kept_in(kept)
        groups = [gather.with_error_bars(group, resamples, draw) for group in groups]
    if images:
        found = [
            with_pictures(one, group, opened(group.runs), kept, duplicates)
            for one, group in zip(found, groups, strict=True)
        ]
    if follows:
        size, files = write()
    side_folder.tidy(folder, files)
    counts = f"{len(summaries)} run{'s' * (len(summaries) != 1)}, {sum(len(group.figures) for group in groups)} figures"
    beside = f", {len(files):,} pictures in {folder}" if files else ""
    put(f"{out}: {counts}, {size / 1e6:.1f} MB{beside}")
