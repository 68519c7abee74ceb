"""``bench data``: what a data set holds, in numbers and in pictures; a file for each of its commands."""

from __future__ import annotations

import typer

from bench.cli.commands.data.download import download
from bench.cli.commands.data.export import export_data
from bench.cli.commands.data.list import list_datasets
from bench.cli.commands.data.show import show
from bench.cli.commands.data.speed import speed
from bench.cli.commands.data.stats import stats
from bench.cli.commands.data.verify import verify_images

data = typer.Typer(help="Count, check and show a data set.", no_args_is_help=True, add_completion=False)
data.command("stats")(stats)
data.command("show")(show)
data.command("list")(list_datasets)
data.command("verify")(verify_images)
data.command("download")(download)
data.command("speed")(speed)
data.command("export")(export_data)
