"""Many runs: every model and seed planned before anything is run, each run recorded whether it works or fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from bench import plugins
from bench.contracts import SEARCH_OPTIONS, ModelSpec
from bench.errors import BenchError, NotRun, UsageError, unknown
from bench.guard import reason as in_one_line
from bench.guard import trace_if_asked
from bench.plan import make_plan, training_options
from bench.plugins import Registry
from bench.records import RunRequest
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary


def plan_runs(
    request: RunRequest, models: Sequence[str], seeds: int, registry: Registry | None = None
) -> list[RunRequest]:
    """Return one request per model and seed 0, 1, ..., every name and option checked before anything is run.

    A bare ``NAME=VALUE`` of ``request.sets`` goes to the models that have this option, ``MODEL.NAME=VALUE`` to one.
    ``request.policy`` is of all models, ``MODEL=NAME`` in it of one: ``threshold,cnn-rnn=decoded``.
    Raises ``UsageError``, also where no model has the option.
    """
    registry = registry or plugins.installed()
    if not models:
        raise UsageError("--models: found none, allowed: names separated by commas. See: bench list models")
    if seeds < 1:
        raise UsageError(f"--seeds: found {seeds}, allowed: whole numbers from 1. Try: --seeds 3")
    specs = {name: registry.model(name).spec for name in models}
    options = {name: _option_names(spec) for name, spec in specs.items()}
    chosen: dict[str, list[str]] = {name: [] for name in specs}
    for text in request.sets:
        name = text.partition("=")[0].strip()
        owner, _, rest = name.rpartition(".")
        if owner in specs:
            takers = {owner: text.strip()[len(owner) + 1 :]}
        elif owner:
            takers = dict.fromkeys(specs, text)
        else:
            # An option that none has goes to all, so that the plan's error names it and what there is.
            takers = dict.fromkeys([model for model in specs if rest in options[model]] or specs, text)
        for model, assignment in takers.items():
            chosen[model].append(assignment)
    policies = _policies(request.policy, specs)
    requests = [replace(request, model=model, sets=tuple(own), policy=policies[model]) for model, own in chosen.items()]
    for one in requests:
        make_plan(one, registry)
    return [replace(one, seed=seed) for one in requests for seed in range(seeds)]


def sweep(
    requests: Sequence[RunRequest],
    registry: Registry | None = None,
    *,
    starting: Callable[[int, RunRequest], None] = lambda number, request: None,
) -> Iterator[RunSummary]:
    """Yield the summary of each run in turn: finished now or before, or failed with its reason; the others go on.

    ``starting`` is told of each request and its number, from 1, before it is run.
    """
    for number, request in enumerate(requests, 1):
        starting(number, request)
        yield run_or_record(request, registry)


def run_or_record(request: RunRequest, registry: Registry | None = None) -> RunSummary:
    """Return the summary of the finished run, or of its failure."""
    from bench.pipeline import run_one

    opened: list[RunFolder] = []
    try:
        return run_one(request, registry, opened=opened.append).summary()
    except BenchError as error:
        state, reason = ("not run" if isinstance(error, NotRun) else "failed"), str(error)
    except Exception as error:  # a plugin may fail in any way; the other models must still run
        state, reason = "failed", in_one_line(error)
        trace_if_asked(error)
    # A failure that the store knows has its config, and so stands beside the seeds that worked.
    summary = opened[0].summary() if opened else None
    if summary is not None and summary.state == "failed":
        return replace(summary, state=state)
    config = {"model": {"name": request.model}, "dataset": {"name": request.dataset}, "seed": request.seed}
    return RunSummary(request.out, "", config, state, reason)


def _policies(text: str, models: Collection[str]) -> dict[str, str]:
    """Return the label-set policy of each of ``models``; empty: its protocol's."""
    of_all, of_one = "", {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        model, one, name = part.partition("=")
        if not one:
            of_all = part
        elif model in models:
            of_one[model] = name
        else:
            raise unknown("model for --policy", model, models)
    return dict.fromkeys(models, of_all) | of_one


def _option_names(spec: ModelSpec) -> set[str]:
    search = SEARCH_OPTIONS if spec.kind == "sequence" else ()
    return {option.name for option in (*spec.options, *training_options(spec), *search)}
