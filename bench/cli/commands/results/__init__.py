"""``bench results``: stored runs in one file for others, and theirs in one's own store."""

from __future__ import annotations

from bench.cli.commands.results.merge import merge_archives
from bench.cli.commands.results.pack import pack_runs
from bench.cli.groups import group

results = group("Share stored runs as one file, and add those of others.", {"pack": pack_runs, "merge": merge_archives})
