"""``bench figures``: the figures of stored runs as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choose import run_summaries
from bench.cli.options import STORE, OneDataset, RunNames, RunsFolder
from bench.show.console import put

EXAMPLES = """Examples:

  bench figures --out figures

  bench figures runs/digit-scenes"""


def figures(
    runs: RunNames = None,
    store: RunsFolder = STORE,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.")] = Path("figures"),
    dataset: OneDataset = "",
) -> None:
    """Write every figure of the stored runs as PNG, SVG and CSV, in a folder for each data set and model."""
    from bench.show.figures import Figure, save
    from bench.show.report import gather
    from bench.system.notes import note

    owners: dict[Path, tuple[str, str]] = {}
    for group in gather.groups(run_summaries(runs, store, dataset)):
        seen: dict[tuple[str, str], int] = {}
        for owner, figure in group.figures:
            again = seen[owner, figure.name] = seen.get((owner, figure.name), 0) + 1
            name = figure.name if again == 1 else f"{figure.name}-{again}"
            folder = _own(out / _folder(group.heading) / _folder(owner), (group.heading, owner), owners)
            picture = save(Figure(name, figure.title, figure.caption, figure.numbers, figure.drawing), folder)[0]
            put(f"{picture}: {figure.title}")
        for told in (*group.notes[len(group.table.notes) :], *group.remarks):
            note(f"{group.heading}: {told}")


def _own(folder: Path, owner: tuple[str, str], owners: dict[Path, tuple[str, str]]) -> Path:
    """Return ``folder`` or, where it is another owner's whose name is written alike, one beside it."""
    found, number = folder, 1
    while owners.setdefault(found, owner) != owner:
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def _folder(name: str) -> str:
    """Return ``name`` as a folder is called.

    >>> _folder("toy, top2@1, any number")
    'toy-top2-1-any-number'
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
