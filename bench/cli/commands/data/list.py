"""``bench data list``: the data sets that are installed."""

from __future__ import annotations

from bench.cli.options import AsJson
from bench.cli.plugin_list import print_plugins

EXAMPLES = """Examples:

  bench data list

  bench data list --json"""


def list_datasets(as_json: AsJson = False) -> None:
    """List the data sets, as bench list datasets does."""
    print_plugins(["datasets"], options=False, as_json=as_json)
