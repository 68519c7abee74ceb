"""Many runs: every model and seed planned before anything is run, each run recorded whether it works or fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from bench import plugins
from bench.contracts import ModelSpec
from bench.contracts.goals import is_goals
from bench.errors import BenchError, NotRun, UsageError, unknown
from bench.guard import reason as in_one_line
from bench.guard import trace_if_asked
from bench.plan import make_plan, search_options, training_options
from bench.plugins import Registry
from bench.records import RunRequest
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary
from bench.system import interrupts
from bench.system.progress import Many

Starting = Callable[[int, RunRequest, str], None]
"""Told of each request and its number, from 1, before it is run, and how long the rest takes where that is long."""

MOST_SEEDS = 10_000
"""Runs of one model that are planned at once: a number with zeros too many would fill the memory with plans."""

SEQUENCE = 8.0
"""How many times as long as another a sequence model trains on frozen features: docs/performance.md, Training."""


def plan_runs(request: RunRequest, models: Sequence[str], seeds: int, *, controls: bool = False) -> list[RunRequest]:
    """Return one request per model and seed 0, 1, ..., every name and option checked before anything is run.

    Of a model for which every seed gives the same there is one request. With ``controls``, the models that belong in
    every table and are not among ``models`` come last.

    A bare ``NAME=VALUE`` of ``request.sets`` goes to the models that have this option, ``MODEL.NAME=VALUE`` to one.
    ``request.policy`` is of all models, ``MODEL=NAME`` in it of one: ``threshold,cnn-rnn=decoded``.
    Raises ``UsageError``, also where no model has the option.
    """
    registry = plugins.installed()
    if not models:
        raise UsageError("--models: found none, allowed: names separated by commas. See: bench list models")
    if not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds: found {seeds}, allowed: whole numbers from 1 to {MOST_SEEDS}. Try: --seeds 3")
    specs = {name: registry.model(name).spec for name in models}
    added = _controls(specs.values(), registry) if controls else ()
    specs |= {spec.name: spec for spec in added}
    options = {name: _option_names(spec) for name, spec in specs.items()}
    chosen: dict[str, list[str]] = {name: [] for name in specs}
    for text in request.sets:
        name = text.partition("=")[0].strip()
        owner, _, rest = name.rpartition(".")
        if owner in specs:
            takers = {owner: text.strip()[len(owner) + 1 :]}
        elif owner == "finetune":
            # Those whose backbone stays frozen have no use for it; where that is all, the plan's error says so.
            tuned = [model for model, spec in specs.items() if spec.finetune or request.finetune]
            takers = dict.fromkeys((tuned if request.finetune != 0 else []) or specs, text)
        elif owner in registry.all(plugins.MODELS):
            raise UsageError(f"--set {name}: found model '{owner}', allowed: of this table's, {', '.join(specs)}")
        elif owner:
            takers = dict.fromkeys(specs, text)
        else:
            # An option that none has goes to all, so that the plan's error names it and what there is.
            takers = dict.fromkeys([model for model in specs if rest in options[model]] or specs, text)
        for model, assignment in takers.items():
            chosen[model].append(assignment)
    policies = _policies(request.policy, specs)
    policies |= {spec.name: _policy_if_taken(policies[spec.name], spec, registry) for spec in added}
    requests = [replace(request, model=model, sets=tuple(own), policy=policies[model]) for model, own in chosen.items()]
    without_tuning = {spec.name for spec in added}
    requests = [replace(one, finetune=0) if one.model in without_tuning else one for one in requests]
    counts = [1 if make_plan(one, registry).deterministic or one.model in without_tuning else seeds for one in requests]
    return [replace(one, seed=seed) for one, count in zip(requests, counts, strict=True) for seed in range(count)]


def _controls(specs: Collection[ModelSpec], registry: Registry) -> tuple[ModelSpec, ...]:
    """Return the models of every table that ``specs`` lack: those that are told tags as one of ``specs`` is, or not."""
    told, asked = {spec.known_tags for spec in specs}, {spec.name for spec in specs}
    installed = {name: found.spec for name, found in registry.all(plugins.MODELS).items()}
    return tuple(
        spec
        for name, spec in installed.items()
        if spec.every_table and spec.known_tags in told and not {name, spec.name} & asked
    )


def _policy_if_taken(policy: str, spec: ModelSpec, registry: Registry) -> str:
    """Return the policy of all models where a model of this kind can have it; else its protocol's, the empty text."""
    try:
        registry.policy(policy, spec.kind)
    except UsageError:
        return ""
    return policy


def sweep(
    requests: Sequence[RunRequest],
    *,
    starting: Starting = lambda number, request, left: None,
) -> Iterator[RunSummary]:
    """Yield the summary of each run in turn: finished now or before, or failed with its reason; the others go on.

    Raises ``BenchError`` where the first fails as all of them would.
    """
    many = Many([request.model for request in requests], "runs", weights=_weights(requests))
    with many.told():
        for number, request in enumerate(requests, 1):
            starting(number, request, many.if_long())
            began, wall = time.monotonic(), time.time()
            summary = run_or_record(request)
            many.finished(request.model, _spent(summary, began, wall))
            if number == 1:
                _raise_if_shared(summary, requests)
            yield summary


def _weights(requests: Sequence[RunRequest]) -> dict[str, float]:
    """Return how long runs take next to one another, about, by model, until they are known.

    Fine-tuning takes the same whatever the model.
    """
    models = plugins.installed().all(plugins.MODELS)
    kinds = {one.model: models[one.model].spec.kind for one in requests if one.model in models and not one.finetune}
    return {model: SEQUENCE if kind == "sequence" else 1.0 for model, kind in kinds.items()}


def _spent(summary: RunSummary, began: float, wall: float) -> float | None:
    """Return the seconds that a run took which began at ``began``, ``wall`` by the clock; ``None``: it was done before.

    A failure without a folder has no time of its own, and was made now. Features of a frozen backbone are computed
    once, for the runs that come after, too: no other takes that long.
    """
    if summary.finished and summary.finished < wall:
        return None
    shared = 0.0
    if summary.measures is not None and not summary.config["backbone"].get("finetune", 0):
        shared = float(RunFolder(summary.path).read_timings().get("seconds", {}).get("features", 0.0))
    return max(time.monotonic() - began - shared, 0.0)


class Makers(Protocol):
    """Those that make runs side by side: processes of this machine, or of others."""

    def prepare(self, request: RunRequest) -> None:
        """Have the features that runs share in the cache, as ``prepare`` below."""

    def room(self) -> int:
        """Return how many runs are made at once, now that those under way are what they are; 1 or more."""

    def take(self, number: int, request: RunRequest) -> None:
        """Begin a run, which is called ``number``."""

    def wait(self) -> list[tuple[int, RunSummary]]:
        """Wait until a run is done, and return each that is, with its number."""

    def end(self) -> None:
        """End all that is under way."""


def sweep_side_by_side(
    requests: Sequence[RunRequest], makers: Makers, *, starting: Starting = lambda number, request, left: None
) -> Iterator[RunSummary]:
    """Yield what ``sweep`` does, in the same order, of runs that ``makers`` make.

    Each computes as it would alone, with as many threads, so results are the same; training takes one. Features are
    extracted before, by all cores. When the caller stops, so do all.
    """
    found: dict[int, RunSummary] = {}
    began: dict[int, tuple[float, float]] = {}
    under_way: set[int] = set()
    begun = told = 0
    with contextlib.ExitStack() as stack:
        stack.callback(makers.end)
        many = Many([request.model for request in requests], "runs", makers.room(), _weights(requests))
        stack.enter_context(many.told())
        makers.prepare(requests[0])
        while told < len(requests):
            many.at_once = makers.room()
            while begun < len(requests) and len(under_way) < many.at_once:
                starting(begun + 1, requests[begun], many.if_long())
                began[begun] = time.monotonic(), time.time()
                makers.take(begun, requests[begun])
                under_way.add(begun)
                begun += 1
            for number, summary in makers.wait():
                under_way.remove(number)
                found[number] = summary
                many.finished(requests[number].model, _spent(summary, *began[number]))
            while told in found:
                if told == 0:
                    _raise_if_shared(found[0], requests)
                yield found.pop(told)
                told += 1


def prepare(request: RunRequest) -> None:
    """Have the features that runs share in the cache, so that none waits for another; the run tells of a failure."""
    from bench.pipeline import extract_features

    with contextlib.suppress(Exception):
        extract_features(request)


def run_or_record(request: RunRequest) -> RunSummary:
    """Return the summary of the finished run, or of its failure."""
    from bench.pipeline import run_one

    opened: list[RunFolder] = []
    try:
        return run_one(request, opened=opened.append).summary()
    except BenchError as error:
        interrupts.check()
        state, reason = ("not run" if isinstance(error, NotRun) else "failed"), str(error)
    except Exception as error:  # a plugin may fail in any way; the other models must still run
        interrupts.check()
        state, reason = "failed", in_one_line(error)
        trace_if_asked(error)
    # A failure that the store knows has its config, and so stands beside the seeds that worked.
    summary = opened[0].summary() if opened else None
    if summary is not None and summary.state == "failed":
        return replace(summary, state=state)
    return failure(request, state, reason)


def failure(request: RunRequest, state: str, reason: str) -> RunSummary:
    """Return the summary of a run that has no folder."""
    config = {"model": {"name": request.model}, "dataset": {"name": request.dataset}, "seed": request.seed}
    return RunSummary(request.out, "", config, state, reason)


def _raise_if_shared(first: RunSummary, requests: Sequence[RunRequest]) -> None:
    """Raise ``BenchError`` where the ``first`` run has no folder for want of data, or of a backbone, that all take."""
    from bench.assembly import build_backbone, open_parts

    if first.measures is None and not first.key:
        plans = [make_plan(one, plugins.installed()) for one in requests]
        open_parts(plans[0])
        if len({(plan.backbone.spec.name, plan.variant) for plan in plans}) == 1:
            build_backbone(plans[0])


def _policies(text: str, models: Collection[str]) -> dict[str, str]:
    """Return the label-set policy of each of ``models``; empty: its protocol's. ``UsageError`` for two of one."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        model, one, name = part.partition("=")
        if not one or (is_goals(part) and model not in models):
            model, name = "", part
        elif model not in models:
            raise unknown("model for --policy", model, models)
        if found.setdefault(model, name) != name:
            raise UsageError(
                f"--policy: found '{found[model]}' and '{name}' for {model or 'all models'}, allowed: one, whose goals"
                " have ';' between them. Try: the same command with each"
            )
    return dict.fromkeys(models, found.pop("", "")) | found


def _option_names(spec: ModelSpec) -> set[str]:
    return {option.name for option in (*spec.options, *training_options(spec), *search_options(spec))}
