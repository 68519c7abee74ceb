"""The order of a report's rows, which of the paper's tables it has, and what tables of one data set are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bench.show.published import PublishedTable
from bench.show.tables import AMOUNTS, Row, Table, known, protocol_code
from bench.store.stored import RunSummary

OWN_DATA = {"csv", "imagefolder", "shards", "coco-json", "voc-folder", "huggingface"}
"""Data sets that are a user's own images, whatever their protocol; the paper has no row for them."""


def best_first(table: Table, metric: str) -> Table:
    """Return ``table`` with its rows by ``metric``, the best first; rows without it stand last, in their order."""

    def key(row: Row) -> float:
        cell = row.cells.get(metric)
        return float("inf") if cell is None else -cell.mean

    return replace(table, rows=tuple(sorted(table.rows, key=key)))


def of_paper(published: Iterable[PublishedTable], runs: Iterable[RunSummary]) -> list[PublishedTable]:
    """Return the paper's tables that one of ``runs`` could stand in: those of their protocols, own images aside."""
    families = {
        str(run.config.get("protocol", "")).split("@")[0]
        for run in runs
        if run.config["dataset"]["name"] not in OWN_DATA
    }
    return [table for table in published if table.protocol in families]


def headings(groups: Sequence[Sequence[RunSummary]]) -> list[str]:
    """Return what each group of runs is called: its data set, and what tells it from others on that data set."""
    names = [_first(runs, lambda run: run.about.dataset) or runs[0].dataset for runs in groups]
    found = []
    for place, (name, runs) in enumerate(zip(names, groups, strict=True)):
        peers = [other for other, its in zip(groups, names, strict=True) if its == name]
        apart = [what(runs) for what in APART if len({what(peer) for peer in peers}) > 1]
        heading = ", ".join([name, *filter(None, apart)])
        found.append(heading if heading not in found else f"{heading} ({place + 1})")
    return found


def _labels(runs: Sequence[RunSummary]) -> str:
    """Return how many labels the rows have where that is no one protocol's choice."""
    policies = [run.config["policy"] for run in runs if "policy" in run.config]
    if policies and all(policy.get("by_protocol", True) for policy in policies):
        return "label sets by the protocol"
    amounts = {str(policy.get("amount", "")) for policy in policies}
    return AMOUNTS.get(amounts.pop(), "") if len(amounts) == 1 else ""


def _first(runs: Sequence[RunSummary], value: Callable[[RunSummary], str]) -> str:
    return next((found for found in map(value, runs) if found), "")


APART: tuple[Callable[[Sequence[RunSummary]], str], ...] = (
    lambda runs: _first(runs, lambda run: str(run.config.get("protocol", ""))),
    lambda runs: _first(runs, lambda run: protocol_code(run)[:8]),
    _labels,
    lambda runs: _first(runs, lambda run: run.about.variant),
    lambda runs: _first(runs, known),
    lambda runs: _first(runs, lambda run: str(run.config["dataset"].get("fingerprints", {}).get("test", ""))[:8]),
)
"""What may tell groups of one data set apart, in the order in which it is told."""
