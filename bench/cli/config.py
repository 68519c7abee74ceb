"""``bench config``: what a run was made with, and who said so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import rich.table

    from bench.show.settings import Setting
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench config 9b2fb905

  bench config 9b2fb905 131a8ff5

  bench config runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --json"""


def config(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or the first digits of its key.")],
    other: Annotated[
        str, typer.Argument(metavar="[RUN2]", help="Another run: only what differs is printed.", show_default=False)
    ] = "",
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every value of a run's config and where it came from; with two runs, only what differs.

    Search lengths and class score that were left to the protocol are shown as the protocol says.
    """
    from bench.show.settings import differences, settings_of
    from bench.store import runs as stored_runs
    from bench.store.sealed import to_json

    folders = [stored_runs.named(name, runs) for name in (run, other) if name]
    settings = [settings_of(folder) for folder in folders]
    rows: dict[str, tuple[Setting | None, ...]] = (
        {**differences(*settings)} if other else {name: (setting,) for name, setting in settings[0].items()}
    )
    if as_json:
        runs_found = [{"folder": str(folder.path), "key": folder.key} for folder in folders]
        values = {name: [_record(setting) for setting in row] for name, row in rows.items()}
        single = {name: row[0] for name, row in values.items()}
        record = {"runs": runs_found, "differences": values} if other else {**runs_found[0], "config": single}
        print(to_json(record), end="")
    else:
        _print(folders, rows)


def _record(setting: Setting | None) -> dict[str, Any] | None:
    if setting is None:
        return None
    left = {} if setting.in_force == setting.value else {"in_force": setting.in_force}
    return {"value": setting.value, **left, "origin": setting.origin}


def _print(folders: Sequence[RunFolder], rows: Mapping[str, Sequence[Setting | None]]) -> None:
    from rich.console import Console
    from rich.text import Text

    several = len(folders) > 1
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    for number, folder in enumerate(folders, 1):
        console.print(Text(f"{number}  {folder.path}" if several else str(folder.path)), soft_wrap=True)
    if rows:
        console.print(drawn(rows))
    else:
        print("no difference: the two configs are the same, value for value")


def drawn(rows: Mapping[str, Sequence[Setting | None]]) -> rich.table.Table:
    """Return ``rows`` by group: a name, and for each run its value and origin, behind its number if there are two."""
    from rich.table import Table
    from rich.text import Text

    from bench.show.settings import grouped

    several = max(map(len, rows.values())) > 1
    table = Table.grid(padding=(0, 2, 0, 0))
    for style in ("cyan", *([""] if several else []), "", "dim"):
        table.add_column(style=style, overflow="fold")
    for group, names in grouped(rows).items():
        table.add_row(Text(group, style="bold"))
        for name in names:
            for number, setting in enumerate(rows[name], 1):
                label = f"  {name.removeprefix(f'{group}.')}" if number == 1 else ""
                value = setting.shown if setting else "-"
                origin = (setting.origin or "not recorded") if setting else "no such value"
                cells = (label, *([str(number)] if several else []), value, origin)
                table.add_row(*(Text(_printable(cell)) for cell in cells))
    return table


def _printable(text: str) -> str:
    """Return ``text`` with what would move the cursor or colour the terminal written as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
