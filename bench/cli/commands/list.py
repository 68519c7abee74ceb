"""``bench list``: what is installed, and where it comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.completion import one_of
from bench.cli.options import AsJson
from bench.cli.plugin_list import PLURALS, print_plugins

EXAMPLES = """Examples:

  bench list

  bench list models -v

  bench list models --options

  bench list datasets --json

  bench list trackers"""


def list_plugins(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help=f"What to list: {', '.join(PLURALS)}; everything if not given.",
            show_default=False,
            autocompletion=one_of(PLURALS),
        ),
    ] = None,
    options: Annotated[bool, typer.Option("--options", help="Also each one's options for --set.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Whole summaries, sources and the distribution of each.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is installed, a line a name, and plugins that failed or are slow. See also: bench plugin list."""
    if kind and kind not in PLURALS:
        from bench.errors import unknown

        raise unknown("kind of plugin", kind, PLURALS, "Try: bench list models")
    print_plugins([kind] if kind else PLURALS, options, as_json, verbose)
