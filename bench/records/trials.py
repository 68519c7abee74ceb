"""Trials: options tried on the validation part, how each did, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.options import OptionValue
from bench.system.files import canonical_json, digest

BOTH = "train and validation"
"""What a run is trained on once its options are chosen."""

LARGEST = 1e300
"""Beyond what any score, rate or time is, and still a number that can be printed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: the options that it set, and its best score on the validation part; ``None``: it failed.

    ``rates`` are the learning rates in force in the epochs up to the best one, none of a model that no gradient trains.
    ``seconds`` is how long it took, where it was made.
    """

    options: Mapping[str, OptionValue]
    score: float | None
    rates: tuple[float, ...] = ()
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """All trials of one choice, in the order in which they were drawn; the first is of the defaults.

    ``budget`` is how many were allowed: a space with fewer points has fewer trials, one without options a single one.
    ``metric`` is what they were judged by, on ``images`` validation images. ``refit``: the run was then trained on
    train and validation part together, for as many epochs and at the same rates as the chosen trial's best.
    """

    budget: int
    metric: str
    images: int
    trials: tuple[Trial, ...]
    refit: bool
    notes: tuple[str, ...] = ()

    @property
    def chosen(self) -> int:
        """Return the index of the best trial; of equal ones the first, so that defaults win ties. -1: all failed."""
        scored = [(trial.score, -index) for index, trial in enumerate(self.trials) if trial.score is not None]
        return -max(scored)[1] if scored else -1

    @property
    def best(self) -> Trial:
        """Return the chosen trial."""
        return self.trials[self.chosen]

    def as_config(self) -> dict[str, Any]:
        """Return of the trials what tells two choices apart in a run's config: their options, and no score."""
        options = digest(canonical_json([dict(trial.options) for trial in self.trials]))
        trained_on = BOTH if self.refit else "train"
        return {"budget": self.budget, "made": len(self.trials), "options": options, "trained_on": trained_on}

    def to_json(self) -> dict[str, Any]:
        """Return the ledger as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ledger:
        """Return what ``to_json`` gave. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        trials = tuple(trial_from_json(entry) for entry in content["trials"])
        own = {name: content[name] for name in ("budget", "metric", "images", "refit")}
        notes = tuple(content["notes"])
        kinds = {"budget": int, "metric": str, "images": int, "refit": bool}
        if any(type(own[name]) is not kind for name, kind in kinds.items()) or not all(
            isinstance(n, str) for n in notes
        ):
            raise TypeError("budget, metric, images, refit and notes are not what trials have")
        if not trials or any(trial.options.keys() != trials[0].options.keys() for trial in trials):
            raise ValueError("no trials, or trials of other options than the first")
        return cls(**own, trials=trials, notes=notes)


def trial_from_json(entry: Mapping[str, Any]) -> Trial:
    """Return the trial that ``asdict`` made ``entry`` of. Raises ``KeyError`` or ``TypeError`` for anything else."""
    trial = Trial(**{**entry, "rates": tuple(entry["rates"])})
    if not isinstance(trial.reason, str) or not isinstance(trial.options, Mapping):
        raise TypeError("found another reason or other options than a trial has")
    values = [value for value in trial.options.values() if not isinstance(value, bool | str)]
    values += [trial.seconds, *trial.rates, *([] if trial.score is None else [trial.score])]
    if not all(type(value) in {int, float} and abs(value) < LARGEST for value in values):
        raise TypeError("found values that no trial has")
    return trial
