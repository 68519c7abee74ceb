"""What a report shows of thresholds that were chosen for goals: each label's curve and point, and them as a table."""

from __future__ import annotations

import numpy as np

from bench.contracts import TrackedTable
from bench.contracts.goals import made_of_goals, parse_goals
from bench.show.figures import Figure
from bench.show.figures.goal_curves import ScoredImages, goal_curves
from bench.show.thresholds import grid, lines
from bench.store.goal_thresholds import of_run
from bench.store.resamples import kept_in
from bench.store.run_folder import RunFolder
from bench.system.files import default_cache


def has_goals(folder: RunFolder) -> bool:
    """Return whether the label sets of the run in ``folder`` are by thresholds for goals."""
    return made_of_goals(folder.config["policy"])


def curves(folder: RunFolder) -> list[Figure]:
    """Return the figure of a run whose thresholds were chosen for goals; none of another."""
    if not has_goals(folder):
        return []
    goals = parse_goals(str(folder.config["policy"]["name"]))
    part, truth = folder.read_validation(), folder.read_truth()
    ignored = part.truth.ignore
    if part.known is not None:
        ignored = part.known if ignored is None else ignored | part.known
    own = {goal.label: goal.bound for goal in goals.own}
    parts = {
        "validation": ScoredImages(part.prediction.scores.values, part.truth.truth, ignored),
        "test": ScoredImages(np.asarray(folder.read_scores().values), truth.truth, truth.ignore),
    }
    asked = [own.get(label, goals.common.bound) for label in truth.labels]
    return [goal_curves(truth.labels, asked, np.asarray(folder.read_policy()["thresholds"]), parts)]


def table(name: str, folder: RunFolder) -> TrackedTable:
    """Return the thresholds of a run as a table, with what was asked and what was had on test as its notes."""
    found = of_run(folder, kept_in(default_cache()))
    header, rows = grid(found)
    cells: tuple[tuple[str | float | None, ...], ...] = tuple(tuple(row) for row in rows)
    title = name if found.goals.text in name else f"{name}: {found.goals.text}"
    return TrackedTable(f"thresholds {folder.key}", title, tuple(header), cells, tuple(lines(found)))
