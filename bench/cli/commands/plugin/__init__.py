"""``bench plugin``: what is installed, whether it keeps its contract, and a new one to begin with."""

from __future__ import annotations

from bench.cli.commands.plugin.check import check
from bench.cli.commands.plugin.list import list_installed
from bench.cli.commands.plugin.new import new
from bench.cli.groups import group

plugin = group("List, check and begin plugins.", {"list": list_installed, "check": check, "new": new})
