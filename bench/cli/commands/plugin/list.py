"""``bench plugin list``: every plugin that was found, what it adds, how long its import took, and why one failed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.cli.options import AsJson

EXAMPLES = """Examples:

  bench plugin list

  bench plugin list --errors

  bench --plugin ./mine.py plugin list --json

  bench --strict plugin list"""


def list_installed(
    errors: Annotated[bool, typer.Option("--errors", help="Only plugins that could not be loaded.")] = False,
    as_json: AsJson = False,
) -> None:
    """List plugins, whether they could be loaded or not. With bench --strict one that could not is exit code 2."""
    import os

    from bench import plugins
    from bench.show.console import put_raw
    from bench.store.sealed import to_json

    registry = plugins.loaded()
    entries = [_entry(registry, origin) for origin in sorted({*registry.loading, *registry.broken}, key=str)]
    shown = [entry for entry in entries if entry["error"] or not errors]
    if as_json:
        put_raw(to_json({"plugins": shown, "clashes": registry.clashes}))
    else:
        _print(shown, registry.clashes)
    if os.environ.get(plugins.STRICT_VARIABLE):
        plugins.installed()


def _entry(registry: Any, origin: Any) -> dict[str, Any]:
    from bench import plugins

    loading = registry.loading.get(origin, plugins.Loading(0.0))
    adds = {
        kind: sorted(name for name, found in offered.items() if found.origin == origin)
        for kind, offered in registry.offered.items()
    }
    return {
        "distribution": origin.distribution,
        "version": origin.version,
        "plugin": origin.entry_point,
        "adds": {kind: names for kind, names in adds.items() if names},
        "seconds": round(loading.seconds, 3),
        "slow": plugins.slowness(loading),
        "error": registry.broken.get(origin, ""),
    }


def _print(entries: list[dict[str, Any]], clashes: tuple[str, ...]) -> None:
    from bench.show.console import print_table, put, say

    rows = [
        (
            entry["plugin"],
            f"{entry['distribution']} {entry['version']}",
            "error" if entry["error"] else ", ".join(f"{len(names)} {kind}" for kind, names in entry["adds"].items()),
            f"{entry['seconds']:.2f}",
        )
        for entry in entries
    ]
    print_table(("plugin", "from", "adds", "seconds"), rows, texts=("from", "adds"))
    for entry in entries:
        for told in filter(None, (entry["error"], entry["slow"])):
            put()
            say(f"{entry['plugin']} of {entry['distribution']}: {told}", indent=2)
    for line in clashes:
        put()
        say(line, indent=2)
