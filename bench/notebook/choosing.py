"""Which stored model to take for a goal: the same as ``bench choose``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.contracts.goals import parse_goal
from bench.errors import UsageError
from bench.evaluation.choosing import shown
from bench.notebook.stored import StoredRun, as_names, as_place, is_of
from bench.notebook.stored import runs as stored
from bench.show import recommendation, tables
from bench.store.resamples import kept_in
from bench.store.runs import each_once, finished_summaries
from bench.system.files import default_cache


class Recommended:
    """What ``bench.choose`` recommends: a stored run, its policy and thresholds, and what it was chosen from."""

    def __init__(self, found: recommendation.Recommendation) -> None:
        self._found = found

    @property
    def run(self) -> StoredRun | None:
        """Return the run to take, of several seeds the best on validation; ``None`` where nothing fits."""
        chosen = self._found.chosen
        return None if chosen is None or chosen.best is None else StoredRun(chosen.best)

    @property
    def model(self) -> str:
        """Return the row's name, the model with what of its options tells it apart; empty where nothing fits."""
        return "" if self._found.chosen is None else self._found.chosen.name

    @property
    def policy(self) -> str:
        """Return the label-set policy that it is recommended with; ``run.by_policy(...)`` makes that run."""
        return "" if self._found.chosen is None else recommendation.policy_of(self._found.chosen, self._found.wish)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Return the different thresholds that the goal's are in ``run``; empty where label sets are as stored."""
        return () if self._found.chosen is None else self._found.chosen.thresholds

    @property
    def validation(self) -> dict[str, float]:
        """Return what it is worth on validation by metric, and its ``latency`` in seconds and ``size`` in bytes."""
        return {} if self._found.chosen is None else dict(self._found.chosen.candidate.values)

    @property
    def test(self) -> dict[str, tuple[float, float, float]]:
        """Return by metric what it is worth on test, and where 95 % of resamples lie: (value, low, high)."""
        return {name: (one.value, one.low, one.high) for name, one in (self._found.intervals or {}).items()}

    @property
    def others(self) -> tuple[str, ...]:
        """Return the names of the other rows that fit, best first."""
        return tuple(one.name for one in self._found.others)

    @property
    def as_good(self) -> dict[str, tuple[float, float, float]]:
        """Return by name the rows that test images cannot tell from it: (difference on test, low, high)."""
        return {name: (one.value, one.low, one.high) for name, one in self._found.ties.items()}

    @property
    def better_on_test(self) -> dict[str, tuple[float, float, float]]:
        """Return by name the rows that test images tell to be better, which validation did not: as ``as_good``."""
        return {name: (one.value, one.low, one.high) for name, one in self._found.better.items()}

    @property
    def left_out(self) -> dict[str, str]:
        """Return by name the rows that cannot be recommended, and why."""
        return dict(self._found.left_out)

    def to_json(self) -> dict[str, Any]:
        """Return what ``bench choose --json`` prints of it."""
        return recommendation.to_json(self._found)

    def __repr__(self) -> str:
        found = self._found
        if found.chosen is None:
            return f"<no recommendation for {found.wish.text}, {found.title}: nothing fits>"
        objective = found.wish.objective
        worth = f"{objective} {shown(objective, self.validation[objective])} on {found.validation:,} validation images"
        return f"<recommended for {found.wish.text}, {found.title}: {self.model}, policy {self.policy}; {worth}>"


def choose(
    goals: str | Sequence[str] = (),
    runs: str | Path | Sequence[StoredRun] = "runs",
    *,
    dataset: str = "",
    protocol: str = "",
    cache: str | Path | None = None,
) -> Recommended:
    """Return which of the stored ``runs``, a folder or what ``bench.runs`` gave, to take for ``goals``.

    A goal is what ``bench choose --for`` takes, as "mAP", "precision>=0.9" or "latency<20ms"; several are a list.
    The choice is made on validation scores, never on test; what it is worth is told on test. ``dataset`` and
    ``protocol`` are filters, as in ``bench.runs``. Raises ``UsageError`` for a goal that is none and where the runs are
    of several data sets or protocols, ``StoreError`` where none is finished.
    """
    asked = [parse_goal(text) for text in ([goals] if isinstance(goals, str) else as_names("goals", goals))]
    held = stored(runs) if isinstance(runs, str | Path) else tuple(runs) if isinstance(runs, Iterable) else (runs,)
    if not all(isinstance(run, StoredRun) for run in held):
        raise UsageError(f"runs: found {runs!r}, allowed: a folder, or runs as bench.runs gives them")
    found = each_once(run.summary for run in held if is_of(run, dataset, protocol))
    groups = tables.by_key(finished_summaries(found) or found) or [[]]
    if len(groups) > 1:
        named = ", ".join(f"{group[0].dataset} ({group[0].config['protocol']})" for group in groups)
        raise UsageError(f"runs: found {named}, allowed: one data set and protocol. Try: dataset=..., protocol=...")
    resamples = kept_in(as_place("cache", cache) if cache else default_cache())
    return Recommended(recommendation.recommend(groups[0], asked, resamples))
