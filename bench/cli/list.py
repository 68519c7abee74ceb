"""``bench list``: what is installed, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from bench.plugins import KINDS

EXAMPLES = """Examples:

  bench list

  bench list models --options

  bench list datasets --json

  bench list trackers"""

PLURALS = tuple(kind.plural for kind in KINDS)

SHOWN = {
    "models": ("kind", "row"),
    "datasets": ("backbone", "expects", "splits"),
    "backbones": ("family",),
    "trackers": ("requires",),
}
"""What is particular to the specs of a kind, beside what all have."""


def list_plugins(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help=f"What to list: {', '.join(PLURALS)}; everything if not given.",
            show_default=False,
            autocompletion=lambda incomplete: [name for name in PLURALS if name.startswith(incomplete)],
        ),
    ] = None,
    options: Annotated[bool, typer.Option("--options", help="Also each one's options for --set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is installed with the distribution that each comes from, and plugins that failed."""
    import json

    from bench import plugins
    from bench.errors import unknown

    if kind and kind not in PLURALS:
        raise unknown("kind of plugin", kind, PLURALS, "Try: bench list models")
    registry = plugins.installed()
    chosen = [kind] if kind else PLURALS
    broken = [
        {"distribution": origin.distribution, "version": origin.version, "plugin": origin.entry_point, "reason": reason}
        for origin, reason in registry.broken.items()
    ]
    listed = {name: [_entry(found, name) for found in registry.offered[name].values()] for name in chosen}
    if as_json:
        print(json.dumps(listed | {"broken": broken}, indent=1))
        return
    for name, entries in listed.items():
        _print_entries(name, entries)
        if options:
            _print_options(entries)
    if broken:
        rows = [(_from(entry), entry["plugin"], entry["reason"]) for entry in broken]
        _print_table("plugins that could not be loaded", ("from", "plugin", "reason"), rows)


def _entry(found: Any, kind: str) -> dict[str, Any]:
    """Return one spec as JSON: its name, summary, origin, options, and what is particular to its kind."""
    from bench.contracts import SEARCH_OPTIONS
    from bench.plan import training_options

    spec, origin = found.spec, found.origin
    entry: dict[str, Any] = {"name": spec.name, "summary": spec.summary}
    groups = {"": spec.options}
    entry |= {name: getattr(spec, name) for name in SHOWN.get(kind, ())}
    if kind == "models":
        groups |= {"training": training_options(spec), "search": SEARCH_OPTIONS if spec.kind == "sequence" else ()}
    described = [
        {"name": o.name, "default": o.default, "allowed": o.allowed, "help": o.help} | ({"of": of} if of else {})
        for of, table in groups.items()
        for o in table
    ]
    return entry | {
        "source": spec.source,
        "options": described,
        "distribution": origin.distribution,
        "version": origin.version,
    }


def _from(entry: dict[str, Any]) -> str:
    return f"{entry['distribution']} {entry['version']}"


def _print_entries(kind: str, entries: list[dict[str, Any]]) -> None:
    extra = {"models": "kind", "datasets": "backbone"}.get(kind)
    header = ("name", *([extra] if extra else []), "summary", "from")
    rows = [
        (_shown_name(entry), *([entry[extra]] if extra else []), entry["summary"], _from(entry))
        for entry in sorted(entries, key=lambda entry: str(entry["name"]))
    ]
    _print_table(kind, header, rows)


def _shown_name(entry: dict[str, Any]) -> str:
    return f"{entry['name']}/<name>" if entry.get("family") else str(entry["name"])


def _print_options(entries: list[dict[str, Any]]) -> None:
    header = ("option", "default", "allowed", "meaning")
    for entry in entries:
        rows = [(o["name"], str(o["default"]), o["allowed"], o["help"]) for o in entry["options"]]
        if rows:
            _print_table(f"options of {entry['name']}", header, rows)


def _print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(header):
        table.add_column(name, no_wrap=column == 0, style="cyan" if column == 0 else "")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
