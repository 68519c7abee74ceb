"""``bench results``: stored runs in one file for others, and theirs in one's own store."""

from __future__ import annotations

import typer

from bench.cli.commands.results.merge import merge_archives
from bench.cli.commands.results.pack import pack_runs

results = typer.Typer(
    help="Share stored runs as one file, and add those of others.", no_args_is_help=True, add_completion=False
)
results.command("pack")(pack_runs)
results.command("merge")(merge_archives)
