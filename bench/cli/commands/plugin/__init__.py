"""``bench plugin``: what is installed, whether it keeps its contract, and a new one to begin with."""

from __future__ import annotations

import typer

from bench.cli.commands.plugin.check import check
from bench.cli.commands.plugin.list import list_installed
from bench.cli.commands.plugin.new import new

plugin = typer.Typer(help="List, check and begin plugins.", no_args_is_help=True, add_completion=False)
plugin.command("list")(list_installed)
plugin.command("check")(check)
plugin.command("new")(new)
