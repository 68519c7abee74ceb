"""``bench list``: what is installed, and where it comes from."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bench.cli.options import AsJson
from bench.cli.plugin_list import KINDS, print_plugins

EXAMPLES = """Examples:

  bench list

  bench list models --options

  bench list datasets --json

  bench list trackers"""


def list_plugins(
    kind: Annotated[
        Literal["models", "datasets", "backbones", "trackers"] | None,
        typer.Argument(help="What to list; everything if not given.", show_default=False),
    ] = None,
    options: Annotated[bool, typer.Option("--options", help="Also each one's options for --set.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what is installed with the distribution that each comes from, and plugins that failed."""
    print_plugins([kind] if kind else KINDS, options, as_json)
