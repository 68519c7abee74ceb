"""``bench config``: what a run was made with, and who said so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.choose import one_run
from bench.cli.options import STORE, AsJson, RunName, RunsFolder
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from bench.show.settings import Setting
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench config 9b2fb905

  bench config 9b2fb905 131a8ff5

  bench config runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --json"""


def config(
    run: RunName,
    other: Annotated[
        str, typer.Argument(metavar="[RUN2]", help="Another run: only what differs is printed.", show_default=False)
    ] = "",
    store: RunsFolder = STORE,
    as_json: AsJson = False,
) -> None:
    """Print every value of a run's config and where it came from; with two runs, only what differs.

    Search lengths and class score that were left to the protocol are shown as the protocol says.
    """
    from bench.show.settings import differences, settings_of
    from bench.store.sealed import to_json

    folders = [one_run(name, store) for name in ([run, other] if other else [run])]
    settings = [settings_of(folder) for folder in folders]
    rows: dict[str, tuple[Setting | None, ...]] = (
        {**differences(*settings)} if other else {name: (setting,) for name, setting in settings[0].items()}
    )
    if as_json:
        runs_found = [{"folder": str(folder.path), "key": folder.key} for folder in folders]
        values = {name: [_record(setting) for setting in row] for name, row in rows.items()}
        single = {name: row[0] for name, row in values.items()}
        record = {"runs": runs_found, "differences": values} if other else {**runs_found[0], "config": single}
        put_raw(to_json(record))
    else:
        _print(folders, rows)


def _record(setting: Setting | None) -> dict[str, Any] | None:
    if setting is None:
        return None
    left = {} if setting.in_force == setting.value else {"in_force": setting.in_force}
    return {"value": setting.value, **left, "origin": setting.origin}


def _print(folders: Sequence[RunFolder], rows: Mapping[str, Sequence[Setting | None]]) -> None:
    from bench.show.settings import grouped

    several = len(folders) > 1
    for number, folder in enumerate(folders, 1):
        say(f"{number}  {folder.path}" if several else str(folder.path), indent=3 if several else 0)
    if not rows:
        put("no difference: the two configs are the same, value for value")
    for group, names in grouped(rows).items():
        put()
        header = (group, *(["run"] if several else []), "value", "from")
        table = [cells for name in names for cells in _cells(name.removeprefix(f"{group}."), rows[name], several)]
        print_table(header, table, texts=header)


def _cells(name: str, settings: Sequence[Setting | None], several: bool) -> Iterator[tuple[str, ...]]:
    for number, setting in enumerate(settings, 1):
        value = setting.shown if setting else "-"
        origin = (setting.origin or "not recorded") if setting else "no such value"
        yield (name if number == 1 else "", *([str(number)] if several else []), value, origin)
