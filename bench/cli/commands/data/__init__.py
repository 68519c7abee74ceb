"""``bench data``: what a data set holds, in numbers and in pictures; a file for each of its commands."""

from __future__ import annotations

from bench.cli.commands.data.download import download
from bench.cli.commands.data.export import export_data
from bench.cli.commands.data.list import list_datasets
from bench.cli.commands.data.show import show
from bench.cli.commands.data.speed import speed
from bench.cli.commands.data.stats import stats
from bench.cli.commands.data.verify import verify_images
from bench.cli.groups import group

data = group(
    "Count, check and show a data set.",
    {
        "stats": stats,
        "show": show,
        "list": list_datasets,
        "verify": verify_images,
        "download": download,
        "speed": speed,
        "export": export_data,
    },
)
