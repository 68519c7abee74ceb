"""Which stored model to take for a goal: chosen on validation scores, told on test, and what cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from bench.contracts import Goal, Protocol
from bench.errors import BenchError, StoreError
from bench.evaluation import bootstrap, choosing, policies, significance
from bench.evaluation.bootstrap import Interval
from bench.evaluation.choosing import Candidate, Wish
from bench.evaluation.measure import measure
from bench.evaluation.outcome import Outcome
from bench.evaluation.policies import Policy
from bench.evaluation.significance import Difference, Draw
from bench.guard import reason
from bench.records import BoolArray
from bench.records.trials import BOTH
from bench.show import tables
from bench.store.cost import Cost, cost_of
from bench.store.following import of_store
from bench.store.protocol import protocol_of
from bench.store.resamples import affordable
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary, ValidationPart
from bench.system.files import canonical_json

PAIR_BUDGET = 3e9
"""Image-label pairs times resamples that are spent on what cannot be told apart: a few seconds, once."""

WORTH_SAYING = 0.005
"""By how much O-F1 must be more for a threshold to be spoken of."""


@dataclass(frozen=True, slots=True)
class Rated:
    """A row of runs that differ by their seed alone: what it is worth on validation and on test, and what it costs.

    ``best`` is the run with the best objective on validation, of a cost with the best O-F1; ``o_f1`` is its own there,
    and ``thresholds`` what the goal's are in it.
    """

    candidate: Candidate
    folders: tuple[RunFolder, ...]
    best: RunFolder | None = None
    o_f1: float = math.nan
    cost: Cost | None = None
    thresholds: tuple[float, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    @property
    def name(self) -> str:
        """Return the row's name."""
        return self.candidate.name


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to take of the runs of one data set and protocol, for a wish. ``chosen`` is ``None`` where nothing fits.

    ``validation`` and ``test`` are how many images of each part there are. ``intervals`` are on test by metric, and
    ``differences`` how much more of the objective each other row has there, by its name; ``None``: it is undefined.
    ``with_threshold`` is the O-F1 on validation of the chosen run by one threshold for it, NaN where that is no more.
    """

    title: str
    wish: Wish
    chosen: Rated | None
    others: tuple[Rated, ...]
    left_out: tuple[tuple[str, str], ...]
    validation: int = 0
    test: int = 0
    intervals: dict[str, Interval] | None = None
    differences: dict[str, Difference] | None = None
    resamples: int = 0
    with_threshold: float = math.nan

    @property
    def ties(self) -> dict[str, Difference]:
        """Return the differences that other test images could turn."""
        return {name: one for name, one in (self.differences or {}).items() if not one.distinguishable}

    @property
    def better(self) -> dict[str, Difference]:
        """Return the differences of rows that are better on test, by more than other test images could turn."""
        sign = -1.0 if choosing.lower_is_better(self.wish.objective) else 1.0
        apart = {name: one for name, one in (self.differences or {}).items() if one.distinguishable}
        return {name: one for name, one in apart.items() if sign * one.value > 0}


def recommend(
    runs: Sequence[RunSummary], goals: Sequence[Goal], draw: Draw = significance.draw, resamples: int | None = None
) -> Recommendation:
    """Return what to take of ``runs``, which are of one data set and protocol; ``tables.by_comparison`` groups them.

    ``resamples`` of the test images tell what differs; ``None``: as many as a few seconds allow. Raises ``StoreError``
    where none of the runs is finished, and ``UsageError`` for goals that are none.
    """
    done = [run for run in runs if run.measures is not None]
    if not done:
        raise StoreError(f"no finished run to choose from. See: bench runs{of_store(runs[0].path) if runs else ''}")
    protocol = protocol_of(done[0].config)
    wished = choosing.wish(goals, protocol.name)
    if wished.policy is not None:
        done = _of_one_policy(done)  # all are given the same thresholds
    rows = tables.rows_of(done, ())
    rated = [_rated(row.label, [run for run in done if run.key in row.keys], wished, protocol) for row in rows]
    rated = _best_policies(rated) if wished.ranking else rated
    by_name = {one.name: one for one in rated}
    ordered = [by_name[one.name] for one in choosing.order([one.candidate for one in rated], wished)]
    fitting = {one.name for one in ordered}
    left_out = tuple(
        (one.name, "; ".join(choosing.faults(one.candidate, wished))) for one in rated if one.name not in fitting
    )
    title = f"{done[0].dataset} ({protocol.name})"
    if not ordered:
        return Recommendation(title, wished, None, (), left_out, test=done[0].images)
    chosen, *others = ordered
    assert chosen.best is not None, "what can be chosen was measured"
    found = Recommendation(
        title, wished, chosen, tuple(others), left_out, _validation_images(chosen.best), done[0].images
    )
    return _told_apart(replace(found, with_threshold=_with_threshold(chosen, wished, protocol)), draw, resamples)


def _with_threshold(chosen: Rated, wished: Wish, protocol: Protocol) -> float:
    """Return the O-F1 on validation of the chosen run by one threshold for it, NaN where that is no more."""
    assert chosen.best is not None, "what was chosen was measured"
    if wished.objective != "O-F1" or wished.policy is not None:
        return math.nan
    part = chosen.best.read_validation()
    policy = policies.chosen("f1", None, protocol, str(chosen.best.config["model"]["kind"]))
    predicted = _held_out(policy, protocol, part)
    of_policy = policies.scored_part(
        protocol, part.prediction.scores, part.truth.truth, ignore=part.truth.ignore, known=part.known
    )
    value = of_policy.score(predicted)
    return value if value > chosen.o_f1 + WORTH_SAYING else math.nan


def _rated(name: str, runs: Sequence[RunSummary], wished: Wish, protocol: Protocol) -> Rated:
    """Return what a row is worth; one that cannot be chosen says why."""
    folders = tuple(RunFolder(run.path) for run in runs)
    if any(run.config.get("trials", {}).get("trained_on") == BOTH for run in runs):
        return Rated(Candidate(name, missing="it was trained on its validation images too"), folders)
    if not all(folder.lists("validation") for folder in folders):
        return Rated(Candidate(name, missing="no scores of validation images are stored"), folders)
    if wished.policy is not None and not all(folder.read_scores().rank for folder in folders):
        return Rated(Candidate(name, missing="it is stored as label sets, without scores for a threshold"), folders)
    try:
        measured = [_measured(folder, wished, protocol) for folder in folders]
    except BenchError as error:
        return Rated(Candidate(name, missing=reason(error)), folders)
    values = [values for values, *_ in measured]
    means = {metric: fmean(one[metric] for one in values) for metric in values[0]}
    costs = [cost_of(folder) for folder in folders]
    timed = [(one.latency, one.features) for one in costs if one.latency is not None and one.features is not None]
    latency, of_features = map(fmean, zip(*timed, strict=True)) if timed else (None, None)
    cost = replace(costs[0], latency=latency, features=of_features)
    means |= {"latency": math.nan if cost.latency is None else cost.latency}
    means |= {"size": math.nan if cost.size is None else float(cost.size)}
    # Seeds differ in what they cost by chance alone.
    deciding = "O-F1" if wished.objective in choosing.COSTS else wished.objective
    sign = -1.0 if choosing.lower_is_better(deciding) else 1.0
    best = max(range(len(folders)), key=lambda place: sign * values[place][deciding])
    _, _, thresholds, _ = measured[best]
    return Rated(
        Candidate(name, means, all(kept for _, kept, *_ in measured)),
        folders,
        folders[best],
        values[best]["O-F1"],
        cost,
        thresholds,
        tuple(outcome for *_, outcome in measured),
    )


def _measured(
    folder: RunFolder, wished: Wish, protocol: Protocol
) -> tuple[dict[str, float], bool, tuple[float, ...], Outcome]:
    """Return a run's metrics on validation, whether thresholds keep their goal there, these, and its test part."""
    part, outcome = folder.read_validation(), folder.read_outcome()
    truth, prediction = part.truth, part.prediction
    predicted, kept = prediction.predicted, True
    found: tuple[float, ...] = ()
    own = policies.of_config(folder.config)
    if wished.policy is not None:
        kind = str(folder.config["model"]["kind"])
        policy = policies.chosen(wished.policy.text, None, protocol, kind)
        masks = {"ignore": truth.ignore, "known": part.known}
        state = policies.fit(policy, protocol, prediction.scores, truth.truth, labels=truth.labels, **masks)
        assert state is not None, "goals have thresholds"
        kept, found = bool(state["reached"].all()), tuple(dict.fromkeys(map(float, state["thresholds"])))
        predicted = policies.read(policy, protocol, prediction.scores, state, known=part.known)[:]
        of_test = policies.read(policy, protocol, outcome.scores, state, known=folder.read_masks().known)
        outcome = replace(outcome, predicted=of_test, seal="")
    elif own.fitted:
        predicted = _held_out(own, protocol, part)
    measures = measure(
        protocol,
        truth.labels,
        truth.truth,
        truth.ignore,
        predicted,
        prediction.scores,
        sequences=prediction.label_sets if wished.policy is None else None,
        known=part.known,
    )
    return dict(measures.values), kept, found, outcome


def _held_out(policy: Policy, protocol: Protocol, part: ValidationPart) -> BoolArray:
    truth = part.truth
    masks = {"ignore": truth.ignore, "known": part.known}
    return policies.held_out(policy, protocol, part.prediction, truth.truth, labels=truth.labels, **masks)


def _apart_from_policy(config: Mapping[str, Any]) -> str:
    code = {part: value for part, value in config.get("code", {}).items() if part != "policy"}
    return canonical_json({**config, "code": code, "policy": None, "seed": None})


def _of_one_policy(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Return of runs that differ by their policy those of one, its protocol's if there is one."""
    kept: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: not run.config["policy"]["by_protocol"]):
        kept.setdefault(_apart_from_policy(run.config), str(run.config["policy"]["name"]))
    return [run for run in runs if kept[_apart_from_policy(run.config)] == run.config["policy"]["name"]]


def _best_policies(rated: Sequence[Rated]) -> list[Rated]:
    """Return of rows that differ by their policy the one with the best O-F1, where label sets decide nothing."""
    groups: dict[str, list[Rated]] = {}
    for one in rated:
        groups.setdefault(_apart_from_policy(one.folders[0].config), []).append(one)
    return [max(members, key=lambda one: one.candidate.values.get("O-F1", 0.0)) for members in groups.values()]


def _told_apart(found: Recommendation, draw: Draw, resamples: int | None) -> Recommendation:
    """Return ``found`` with its intervals on test, and with how the others differ from the chosen one there."""
    chosen = found.chosen
    assert chosen is not None, "something was chosen"
    if resamples is None:
        pairs = math.prod(chosen.outcomes[0].truth.shape) * sum(len(one.outcomes) for one in (chosen, *found.others))
        resamples = affordable(pairs, PAIR_BUDGET)
    groups = {one.name: one.outcomes for one in (chosen, *found.others)}
    distributions = significance.distributions(groups, resamples, draw)
    own = distributions[chosen.name]
    intervals = {metric: bootstrap.interval(values, 0.0) for metric, values in own.items()}
    objective, apart = found.wish.objective, None
    if objective in own and not math.isnan(own[objective][0]):
        of_two = ({one.name: distributions[one.name], chosen.name: own} for one in found.others)
        apart = {one.first: one for pair in of_two for one in significance.differences(pair, [objective])}
    return replace(found, intervals=intervals, differences=apart, resamples=resamples)


def _validation_images(folder: RunFolder) -> int:
    return len(folder.read_validation().truth.ids)


def to_json(found: Recommendation) -> dict[str, Any]:
    """Return a recommendation as JSON; metrics are shares, latency is in seconds and size in bytes."""
    return {
        "for": list(found.wish.typed) or [found.wish.objective],
        "objective": found.wish.objective,
        "chosen_on": "validation",
        "validation_images": found.validation,
        "test_images": found.test,
        "on": found.title,
        "recommended": None if found.chosen is None else _row_json(found.chosen, found),
        "others": [_row_json(one, found) for one in found.others],
        "left_out": [{"model": name, "reason": why} for name, why in found.left_out],
    }


def _row_json(one: Rated, found: Recommendation) -> dict[str, Any]:
    objective, apart = found.wish.objective, (found.differences or {}).get(one.name)
    interval = (found.intervals or {}).get(objective) if one is found.chosen else None
    values = {name: None if math.isnan(value) else value for name, value in one.candidate.values.items()}
    assert one.best is not None, "what is ranked was measured"
    return {
        "model": one.name,
        "key": one.best.key,
        "folder": str(one.best.path),
        "policy": policy_of(one, found.wish),
        "thresholds": list(one.thresholds) or None,
        "validation": values,
        "test": None if interval is None else {"value": interval.value, "low": interval.low, "high": interval.high},
        "cost": None if one.cost is None else one.cost.to_json(),
        "distinguishable": None if apart is None else apart.distinguishable,
        "difference": None if apart is None else {"value": apart.value, "low": apart.low, "high": apart.high},
    }


def policy_of(one: Rated, wished: Wish) -> str:
    """Return the label-set policy that ``one`` is recommended with."""
    assert one.best is not None, "what is ranked was measured"
    return wished.policy.text if wished.policy is not None else str(one.best.config["policy"]["name"])
