"""Trials as they are shown: in a line, as rows of a table, and at the foot of a table of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.contracts import TrackedTable
from bench.records import Ledger
from bench.records.trials import BOTH
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary

if TYPE_CHECKING:
    from bench.show.tables import Row

UNEQUAL = "†"
"""Mark of a row whose options were chosen within fewer trials than another's of its table."""


def told(ledger: Ledger) -> str:
    """Return in a line what was chosen, and by how much it was better than the defaults."""
    count = f"{len(ledger.trials)} of at most {ledger.budget}" if len(ledger.trials) < ledger.budget else ledger.budget
    values = [trial.score for trial in (ledger.trials[0], ledger.best)]
    first, best = ("failed" if value is None else f"{100 * value:.1f}" for value in values)
    chosen = " ".join(f"{name}={value}" for name, value in ledger.best.options.items()) or "nothing to choose"
    what = "the defaults" if ledger.chosen == 0 else f"trial {ledger.chosen + 1}"
    return (
        f"{count}; {ledger.metric} on {ledger.images:,} validation images {best} (defaults {first}): {what}, {chosen}"
    )


def rows(ledger: Ledger) -> tuple[tuple[str, ...], list[tuple[str | float | None, ...]]]:
    """Return header and rows, a trial each: number, score in percent, epochs, seconds, options, why it failed."""
    names = list(ledger.trials[0].options)
    header = ("trial", ledger.metric, "epochs", "seconds", *names, "")
    body: list[tuple[str | float | None, ...]] = []
    for number, trial in enumerate(ledger.trials):
        score = None if trial.score is None else f"{100 * trial.score:.1f}"
        state = "chosen" if number == ledger.chosen else trial.reason
        options = [str(trial.options[name]) for name in names]
        body.append((str(number + 1), score, str(len(trial.rates)), f"{trial.seconds:.1f}", *options, state))
    return header, body


def section(runs: Iterable[RunSummary]) -> list[TrackedTable]:
    """Return the trials of the first finished run of each model and choice, as tables of a report."""
    tables: dict[str, TrackedTable] = {}
    for run in runs:
        folder = RunFolder(run.path)
        if run.measures is None or "trials" not in run.config:
            continue
        ledger = folder.read_trials()
        header, body = rows(ledger)
        title = f"{run.config['model']['name']}: {told(ledger)}"
        tables.setdefault(title, TrackedTable(run.key, title, header, tuple(body), ledger.notes))
    return list(tables.values())


def foot(runs: Sequence[RunSummary], found: Sequence[Row]) -> tuple[tuple[Row, ...], list[str]]:
    """Return the rows, those of a smaller budget than another's marked, and notes that say how many trials each had."""
    known = [run for run in runs if "protocol" in run.config]
    budgets = {run.key: _budget(run) for run in known}
    if not any(budgets.values()):
        return tuple(found), []
    most = max(budgets.values())
    made = {run.key: int(run.config.get("trials", {}).get("made", 0)) for run in known}
    labels = {row.label: next((key for key in row.keys if key in budgets), "") for row in found}
    unequal = {label for label, key in labels.items() if key and budgets[key] < most}
    fewer = {label: made[key] for label, key in labels.items() if key and made[key] < budgets[key] == most}
    marked = tuple(replace(row, label=f"{row.label} {UNEQUAL}") if row.label in unequal else row for row in found)
    ledgers = [run.config["trials"] for run in known if budgets[run.key]]
    refit = all(entry["trained_on"] == BOTH for entry in ledgers)
    then = "then trained on train and validation" if refit else "then trained as their notes say"
    notes = [f"options chosen on validation by {most} trials a row, {then}; nothing is chosen on test"]
    if fewer:
        counts = ", ".join(f"{label} {count}" for label, count in fewer.items())
        notes.append(f"fewer points to try than trials allowed: {counts}")
    if unequal:
        counts = ", ".join(f"{label} {budgets[labels[label]] or 'none'}" for label in labels if label in unequal)
        notes.append(f"{UNEQUAL} fewer trials than the {most} of the others, so rows do not compare as tuned: {counts}")
    return marked, notes


def _budget(run: RunSummary) -> int:
    return int(run.config.get("trials", {}).get("budget", 0))
