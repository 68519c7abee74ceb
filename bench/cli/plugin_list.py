"""What is installed, printed for people and as JSON: a section for each kind and distribution, a name a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.plugins import KINDS
from bench.show.console import print_table, put, put_raw, say
from bench.store.sealed import to_json

PLURALS = tuple(kind.plural for kind in KINDS)

SHOWN = {
    "models": ("kind", "row"),
    "datasets": ("backbone", "expects", "splits"),
    "backbones": ("family",),
    "trackers": ("requires",),
}
"""What is particular to the specs of a kind, beside what all have."""


def print_plugins(kinds: Iterable[str], options: bool, as_json: bool) -> None:
    """Print what is installed of ``kinds`` with its origin, with ``options`` for ``--set`` too, and what failed."""
    from bench import plugins

    registry = plugins.installed()
    broken = [
        {"distribution": origin.distribution, "version": origin.version, "plugin": origin.entry_point, "reason": reason}
        for origin, reason in registry.broken.items()
    ]
    listed = {kind: [_entry(found, kind, name) for name, found in registry.offered[kind].items()] for kind in kinds}
    if as_json:
        put_raw(to_json(listed | {"broken": broken, "clashes": registry.clashes}))
        return
    for number, (kind, entries) in enumerate(listed.items()):
        if number:
            put()
        _print_entries(kind, entries)
        if options:
            _print_options(entries)
    if broken:
        put()
        rows = [(_from(entry), entry["plugin"], entry["reason"]) for entry in broken]
        header = ("from", "plugin", "reason")
        print_table(header, rows, title="plugins that could not be loaded", texts=header)
    if registry.clashes:
        put()
        say("names that several plugins offer", "bold")
        for line in registry.clashes:
            say(line)


def _entry(found: Any, kind: str, name: str) -> dict[str, Any]:
    """Return one spec as JSON: the ``name`` typed for it, summary, origin, options, and what is its kind's own."""
    from bench.contracts import SEARCH_OPTIONS
    from bench.plan import training_options

    spec, origin = found.spec, found.origin
    entry: dict[str, Any] = {"name": name, "summary": spec.summary}
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


def _print_entries(kind: str, entries: Iterable[dict[str, Any]]) -> None:
    """Print a table for each distribution: said once, above it, a name and its summary have room in one line."""
    extra = [name for name in ({"models": "kind", "datasets": "backbone"}.get(kind),) if name]
    header = ("name", *extra, "summary")
    origins: dict[str, list[Sequence[str]]] = {}
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        row = (_shown_name(entry), *(entry[name] for name in extra), entry["summary"])
        origins.setdefault(_from(entry), []).append(row)
    for number, (origin, rows) in enumerate(origins.items()):
        if number:
            put()
        print_table(header, rows, title=f"{kind} of {origin}", texts=header)


def _shown_name(entry: dict[str, Any]) -> str:
    return f"{entry['name']}/<name>" if entry.get("family") else str(entry["name"])


def _print_options(entries: Iterable[dict[str, Any]]) -> None:
    header = ("option", "default", "allowed", "meaning")
    for entry in entries:
        rows = [(o["name"], str(o["default"]), o["allowed"], o["help"]) for o in entry["options"]]
        if rows:
            put()
            print_table(header, rows, title=f"options of {entry['name']}", texts=header)
