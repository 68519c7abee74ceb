"""What is installed, printed for people and as JSON: a section for each kind, a name a line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from bench.guard import HOST
from bench.plugins import KINDS
from bench.show.console import print_table, put, put_raw, say, window

PLURALS = tuple(kind.plural for kind in KINDS)

SHOWN = {
    "models": ("kind", "row"),
    "datasets": ("backbone", "expects", "splits"),
    "backbones": ("family",),
    "trackers": ("requires",),
}
"""What is particular to the specs of a kind, beside what all have."""

BUILT_IN = {
    "metrics": "C-F1, O-F1, mAP and the others of docs/metrics.md",
    "protocols": "those of bench protocols",
    "policies": "exactly-k, natural-threshold, decoded, own, and goals as precision>=0.9",
    "decoders": "beam",
    "report_sections": "those of every bench report",
    "table_formats": "those of bench table --help",
}
"""Of kinds that plugins only add to, what there is without them."""


def print_plugins(kinds: Iterable[str], options: bool, as_json: bool, verbose: bool = False) -> None:
    """Print what is installed of ``kinds``, a line a name, and what failed.

    With ``options``, what ``--set`` takes too; with ``verbose``, whole summaries, origins and sources.
    """
    from bench import plugins

    registry = plugins.installed()
    broken = [
        {"distribution": origin.distribution, "version": origin.version, "plugin": origin.entry_point, "reason": reason}
        for origin, reason in registry.broken.items()
    ]
    told = options or as_json
    listed = {
        kind: [_entry(found, kind, name, told) for name, found in registry.offered[kind].items()] for kind in kinds
    }
    if as_json:
        from bench.store.sealed import to_json

        put_raw(to_json(listed | {"broken": broken, "clashes": registry.clashes}))
        return
    shown = {kind: entries for kind, entries in listed.items() if entries or len(listed) == 1}
    for number, (kind, entries) in enumerate(shown.items()):
        if number:
            put()
        (_print_whole if verbose else _print_lines)(kind, entries)
        if options:
            _print_options([*entries, *_of_finetuning(kind)])
        if len(shown) == 1 and kind in BUILT_IN:
            say(f"  built in: {BUILT_IN[kind]}", indent=4)
    slow = {origin: plugins.slowness(loading) for origin, loading in registry.loading.items()}
    _say_all(
        "plugins that could not be loaded",
        [f"{_from(entry)} ({entry['plugin']}): {entry['reason']}" for entry in broken],
    )
    _say_all("slow plugins", [f"{origin}: {words}" for origin, words in slow.items() if words])
    _say_all("names that several plugins offer", registry.clashes)
    _say_all(
        "hooks that this version does not know",
        [f"{origin}: {', '.join(hooks)} is not called" for origin, hooks in registry.unknown_hooks.items()],
    )


def _say_all(title: str, lines: Sequence[str]) -> None:
    if lines:
        put()
        say(title, "bold")
    for line in lines:
        say(line, indent=2)


def _entry(found: Any, kind: str, name: str, options: bool) -> dict[str, Any]:
    """Return one spec as JSON: the ``name`` typed for it, summary, origin, what is its kind's own, and ``options``."""
    spec, origin = found.spec, found.origin
    entry: dict[str, Any] = {"name": name, "summary": spec.summary}
    entry |= {name: getattr(spec, name) for name in SHOWN.get(kind, ())}
    if kind == "models":
        entry["trials"] = _chosen_by_trials(spec)
    return entry | {
        "source": getattr(spec, "source", ""),
        "options": _described(spec, kind) if options else [],
        "distribution": origin.distribution,
        "version": origin.version,
    }


def _chosen_by_trials(spec: Any) -> str:
    """Return in words what ``--trials`` chooses of a model, or why nothing."""
    return f"choose {', '.join(one.name for one in spec.space)}" if spec.space else f"nothing: {spec.exemption}"


def _described(spec: Any, kind: str) -> list[dict[str, Any]]:
    """Return each option that ``--set`` takes of a spec as JSON; of a model's training and search, which of the two."""
    groups = {"": getattr(spec, "options", ())}
    if kind == "models":
        from bench.plan import search_options, training_options

        groups |= {"training": training_options(spec), "search": search_options(spec)}
    return [
        {"name": o.name, "default": o.default, "allowed": o.allowed, "help": o.help} | ({"of": of} if of else {})
        for of, table in groups.items()
        for o in table
    ]


def _of_finetuning(kind: str) -> list[dict[str, Any]]:
    """Return the options of fine-tuning, which every model's backbone has, as they are typed."""
    from bench.contracts import FINETUNING_OPTIONS

    if kind != "models":
        return []
    rows = [
        {"name": f"finetune.{o.name}", "default": o.default, "allowed": o.allowed, "help": o.help}
        for o in FINETUNING_OPTIONS
    ]
    return [{"name": "--finetune, for every model", "options": rows}]


def _from(entry: dict[str, Any]) -> str:
    return f"{entry['distribution']} {entry['version']}"


def _print_lines(kind: str, entries: Sequence[dict[str, Any]]) -> None:
    """Print a line for each name: the name, who offers it where that is a third party, and what of its summary fits."""
    say(kind.replace("_", " "), "bold")
    wide = max((len(_shown_name(entry)) for entry in entries), default=0)
    room = window() - wide - 4
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        whose = "" if entry["distribution"] == HOST else f" [{_from(entry)}]"
        summary = textwrap.shorten(entry["summary"], max(room - len(whose), 8), placeholder=" ...")
        put(f"  {_shown_name(entry):<{wide}}  {summary}{whose}")


def _print_whole(kind: str, entries: Iterable[dict[str, Any]]) -> None:
    """Print a paragraph for each name: its whole summary, what is its kind's own, its source and its origin."""
    say(kind.replace("_", " "), "bold")
    for entry in sorted(entries, key=lambda entry: str(entry["name"])):
        own = {name: entry[name] for name in (*SHOWN.get(kind, ()), "trials", "source") if entry.get(name)}
        put(f"  {_shown_name(entry)}")
        say(f"      {entry['summary']}", indent=6)
        for name, value in (own | {"from": _from(entry)}).items():
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            say(f"      {name}: {shown}", indent=8)


def _shown_name(entry: dict[str, Any]) -> str:
    return f"{entry['name']}/<name>" if entry.get("family") else str(entry["name"])


def _print_options(entries: Iterable[dict[str, Any]]) -> None:
    header = ("option", "default", "allowed", "meaning")
    for entry in entries:
        rows = [(o["name"], str(o["default"]), o["allowed"], o["help"]) for o in entry["options"]]
        if rows:
            put()
            print_table(header, rows, title=f"options of {entry['name']}", texts=header)
