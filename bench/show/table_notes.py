"""What a reader of a table must know beside its numbers: spread, policies, deviations, failures, other code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.guard import HOST
from bench.show import row_settings
from bench.store import external
from bench.store.stored import Provenance, RunSummary
from bench.system.source import UNKNOWN

if TYPE_CHECKING:
    from bench.show.tables import Row

SPREAD = "± is the sample standard deviation over seeds"

PLUGIN_PARTS = ("model", "dataset", "backbone", "policy", "decoder")
"""Parts of a config that a plugin gives; each has its hash in ``code``."""

MARK = "policy="
"""In a row's label: the policy that it is told from others by."""

UNKNOWN_CODE = UNKNOWN[:8]


def of(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return the notes of a table with ``rows`` of ``runs``."""
    notes = []
    if any(cell.spread is not None for row in rows for cell in row.cells.values()):
        notes.append(SPREAD)
    notes += dict.fromkeys(note for run in runs if run.measures for note in run.measures.notes)
    notes += _deterministic(runs, rows)
    notes += _policies(runs, rows)
    notes += row_settings.notes(_firsts(runs, rows))
    notes += [*_made_elsewhere(runs, rows), *_doubts(runs, rows)]
    told = {str(run.config["model"]["name"]): run.about.deviations for run in runs if run.about.deviations}
    notes += [f"{name}: {deviations}" for name, deviations in told.items()]
    for row in rows:
        if row.cells:  # a row without numbers shows its reason in their place
            notes += [f"{row.label}: {failure}" for failure in row.failures]
    of_rows = [note for row in rows for note in (*_unmeasured(row), *_undefined(row))]
    return [*notes, *_same_scores(runs, rows), *_same_numbers(runs, rows), *_other_code(runs), *of_rows]


def _firsts(runs: Sequence[RunSummary], rows: Sequence[Row]) -> dict[str, RunSummary]:
    """Return the first finished run of each row that has one; seeds of a row share all settings."""
    done = {run.key: run for run in runs if run.measures}
    found = {row.label: [done[key] for key in row.keys if key in done] for row in rows}
    return {label: members[0] for label, members in found.items() if members}


def _deterministic(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return which rows are of one run because every seed gives the same."""
    same = {run.key for run in runs if run.measures and run.about.deterministic}
    names = [row.label for row in rows if len(row.seeds) == 1 and same & set(row.keys)]
    return [f"1 run (deterministic): {', '.join(names)}"] if names else []


def _same_scores(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return which rows of somebody's own scores count the same ones as several seeds, so that they spread less."""
    scores = {
        run.key: one.get("scores", "") for run in runs if run.measures and (one := external.of_config(run.config))
    }
    notes = []
    for row in rows:
        found = [scores[key] for key in row.keys if scores.get(key)]
        if (several := len(found)) > (different := len(set(found))):
            notes.append(f"{row.label}: {several} seeds are {different} different scores, so their ± is too small")
    return notes


def _same_numbers(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return which rows of several seeds have one set of numbers, as of a model that does not take its seed."""
    own = (run for run in runs if run.measures and not external.of_config(run.config))
    numbers = {run.key: repr((run.measures.values, run.measures.per_class)) for run in own if run.measures}
    found = [(row.label, [numbers[key] for key in row.keys if key in numbers]) for row in rows]
    return [
        f"{label}: its {len(of_seeds)} seeds gave the same numbers, so ± says nothing of chance"
        for label, of_seeds in found
        if len(of_seeds) > 1 == len(set(of_seeds))
    ]


def _made_elsewhere(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return notes on rows whose scores came from a file, or from somebody's archive."""
    by_key = {run.key: run for run in runs}
    files, merged = [], dict[str, list[str]]()
    for row in rows:
        members = [by_key[key] for key in row.keys if key in by_key]
        if own := [str(one["sha256"])[:12] for run in members if (one := external.of_config(run.config))]:
            files.append(f"{row.model} {', '.join(own)}")
        for archive in dict.fromkeys(_archive(run.provenance) for run in members if run.provenance is not None):
            merged.setdefault(archive, []).append(row.label)
    told = "; ".join(dict.fromkeys(files))
    notes = [f"external: scores of files made outside of this benchmark, by SHA-256: {told}"] if files else []
    return [*notes, *(f"{archive}: {', '.join(labels)}" for archive, labels in merged.items())]


def _doubts(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return what is odd in rows of a third party's code, or of somebody's own scores."""
    remarks = {run.key: run.about.remarks for run in runs if run.measures and not _is_first_party(run.config)}
    return list(
        dict.fromkeys(f"{row.label}: {remark}" for row in rows for key in row.keys for remark in remarks.get(key, ()))
    )


def _is_first_party(config: Mapping[str, Any]) -> bool:
    parts = [config[part] for part in PLUGIN_PARTS if part in config]
    return external.of_config(config) is None and {part.get("distribution", HOST) for part in parts} == {HOST}


def _archive(provenance: Provenance) -> str:
    by = f" by {provenance.by}" if provenance.by else ""
    return f"merged from {provenance.archive}{by}, SHA-256 {provenance.sha256[:12]}"


def _policies(runs: Sequence[RunSummary], rows: Sequence[Row]) -> list[str]:
    """Return notes that say of each row by which policy its label sets are."""
    rows_of_policy: dict[str, list[str]] = {}
    policies = {run.key: str(run.config["policy"]["name"]) for run in runs if run.measures and "policy" in run.config}
    for row in rows:
        if names := {policies[key] for key in row.keys if key in policies}:
            rows_of_policy.setdefault(names.pop(), []).append(row.label)
    # A row that is told from others of its model by its policy says so itself.
    unsaid = {policy: [label for label in labels if MARK not in label] for policy, labels in rows_of_policy.items()}
    told = [f"{policy} ({', '.join(labels)})" for policy, labels in unsaid.items() if labels]
    notes = [f"label sets by policy {'; '.join(told)}"] if told else []
    if "own" in rows_of_policy:
        own = ", ".join(rows_of_policy["own"])
        notes.append(f"label sets are the model's own, of any length, and no protocol's: {own}")
    return notes


def _other_code(runs: Sequence[RunSummary]) -> list[str]:
    """Return notes on rows that were not made by the same code: of one plugin, or of this benchmark."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        for part, value in run.config.get("code", {}).items():
            owner = run.config[part]["name"] if part in PLUGIN_PARTS else "bench"
            found.setdefault((part, owner), {})[str(value)[:8]] = None
    notes = []
    for (part, owner), hashes in found.items():
        if len(hashes) > 1:
            whose = f"{part} '{owner}'" if part in PLUGIN_PARTS else f"bench's own {part}"
            notes.append(
                f"rows were made by different code of {whose}: {', '.join(hashes)}."
                " 'bench config RUN RUN2' tells them apart"
            )
        if UNKNOWN_CODE in hashes:
            notes.append(f"the code of {part} '{owner}' has no file, so an edit of it changes no key")
    return notes


def _unmeasured(row: Row) -> list[str]:
    """Return notes that name the seeds of ``row`` that are older than a metric, and the columns they lack."""
    columns_of: dict[tuple[int, ...], list[str]] = {}
    for column, seeds in row.unmeasured.items():
        columns_of.setdefault(seeds, []).append(column)
    notes = []
    for seeds, names in columns_of.items():
        which = "" if seeds == row.seeds else f" seed {' and '.join(map(str, seeds))}"
        notes.append(f"{row.label}{which}: not measured then, when the run was made: {', '.join(names)}")
    return notes


def _undefined(row: Row) -> list[str]:
    """Return notes on the columns of ``row`` that are undefined for some of its seeds: their means are of fewer."""
    columns_of: dict[int, list[str]] = {}
    for column, cell in row.cells.items():
        if absent := len(row.seeds) - len(row.unmeasured.get(column, ())) - cell.n:
            columns_of.setdefault(absent, []).append(column)
    of = f"of its {len(row.seeds)} seeds, and left out of the mean"
    return [f"{row.label}: undefined for {n} {of}: {', '.join(names)}" for n, names in columns_of.items()]
