"""``bench report`` and ``bench figures``: stored runs as a page, and their figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.store.stored import RunSummary

EXAMPLES = """Examples:

  bench report --out report.html

  bench report --dataset digit-scenes 9b2f 41aa"""

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUNS]...", help="Run folders or the first digits of their keys; all stored if not given."),
]
OneDataset = Annotated[str, typer.Option("--dataset", metavar="NAME", help="Only runs on this data set.")]
Resamples = Annotated[
    int | None,
    typer.Option("--resamples", min=0, help="Of the test images, for error bars; 0: none. As many as time allows."),
]


def report(  # noqa: PLR0917 - the parser passes options by name
    runs: Runs = None,
    runs_folder: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path(
        "runs"
    ),
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    dataset: OneDataset = "",
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "Multi-label image classification",
    resamples: Resamples = None,
) -> None:
    """Write one page with tables, error bars, figures, test images and provenance; it opens from disk, anywhere.

    Needs neither torch nor the data set nor a network. Runs that do not compare stand in tables of their own.
    """
    from bench import plugins
    from bench.show import paper_tables, published
    from bench.show.report import gather, page
    from bench.system.files import write_atomic

    summaries = chosen(runs, runs_folder, dataset)
    groups = gather.groups(summaries, resamples)
    rerunnable = {found.spec.row for found in plugins.installed().all(plugins.MODELS).values()}
    ledgers = [paper_tables.build(table, summaries, rerunnable) for table in published.tables()]
    content = page.render(groups, ledgers, title).encode()
    write_atomic(out, content)
    counts = f"{len(summaries)} runs, {sum(len(group.figures) for group in groups)} figures"
    print(f"{out}: {counts}, {len(content) / 1e6:.1f} MB")


def figures(
    runs: Runs = None,
    runs_folder: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path(
        "runs"
    ),
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.")] = Path("figures"),
    dataset: OneDataset = "",
) -> None:
    """Write every figure of the stored runs as PNG, SVG and CSV, in a folder for each data set and model."""
    import re

    from bench.show.figures import Figure, save
    from bench.show.report import gather

    for group in gather.groups(chosen(runs, runs_folder, dataset), resamples=0):
        seen: dict[tuple[str, str], int] = {}
        for owner, figure in group.figures:
            again = seen[owner, figure.name] = seen.get((owner, figure.name), 0) + 1
            name = figure.name if again == 1 else f"{figure.name}-{again}"
            folder = out / group.name / re.sub(r"[^\w.-]+", "-", owner).strip("-")
            picture = save(Figure(name, figure.title, figure.caption, figure.numbers, figure.drawing), folder)[0]
            print(f"{picture}: {figure.title}")


def chosen(names: list[str] | None, root: Path, dataset: str) -> list[RunSummary]:
    """Return the runs called ``names``, or all under ``root``; raises ``StoreError`` where there are none."""
    from bench.errors import StoreError
    from bench.store import runs as stored_runs

    folders = [stored_runs.named(name, root) for name in names] if names else stored_runs.find(root, dataset)
    summaries = [folder.summary() for folder in folders]
    if dataset:
        summaries = [run for run in summaries if run.config["dataset"]["name"] == dataset]
    if not summaries:
        wanted = f" on '{dataset}'" if dataset else ""
        raise StoreError(f"no runs{wanted} under {root}. Try: bench run, or another --runs")
    return summaries
