"""Metrics that plugins add: computed from what a run has stored whenever they are shown, and never stored.

So they are there for runs made before the plugin, and an edited one shows no value of the code before the edit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from bench import plugins
from bench.contracts import Metric
from bench.errors import BenchError
from bench.evaluation import metric_table, protocols
from bench.evaluation.evaluation import Evaluation
from bench.guard import calling
from bench.plugins import Found
from bench.store.protocol import protocol_of
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary
from bench.system.notes import note

ROUNDING = 1e-5
"""By which a metric may differ when it is asked again: of one that adds in float32 by several threads, relative."""


def added() -> dict[str, Found[Metric]]:
    """Return the plugins' metrics by the name that is typed; the host's own names and columns stay the host's.

    A column that two of them claim is neither's: each stands under its name.
    """
    found = {}
    taken = metric_table.by_name()
    columns = {metric.heading for metric in taken.values()}
    for name, one in plugins.installed().all(plugins.METRICS).items():
        typed = f"{one.origin.distribution}:{name}" if name in taken or name in columns else name
        column = "" if one.spec.column in {*taken, *columns} else one.spec.column
        found[typed] = Found(replace(one.spec, name=typed, column=column), one.origin)
    claims = Counter(claimed for name, one in found.items() for claimed in {name, one.spec.heading})
    for name, one in found.items():
        if one.spec.column and claims[one.spec.column] > 1:
            found[name] = replace(one, spec=replace(one.spec, column=name))
    return found


def measured(runs: Sequence[RunSummary], names: Collection[str]) -> list[RunSummary]:
    """Return ``runs``, the finished ones with the plugins' metrics that are among ``names``.

    A metric that fails on a run, or gives no number, is undefined there, and a note names plugin, run and reason. The
    first run is measured again when all are: a metric that then says something else is undefined for every run.
    """
    wanted = {name: one for name, one in added().items() if name in names}
    found = [_measured(run, wanted) for run in runs] if wanted else list(runs)
    if first := next((run for run in found if wanted and run.measures), None):
        again = _measured(first, {name: one for name, one in wanted.items() if not math.isnan(_value(first, name))})
        changing = {name for name in wanted if not _same(_value(first, name), _value(again, name))}
        for name in sorted(changing):
            note(
                f"{wanted[name].origin}: metric '{name}' is undefined, as it says {_value(again, name):.6g} of run"
                f" {first.key}, and {_value(first, name):.6g} before. Try: bench plugin check"
            )
        found = [_without(run, changing) for run in found]
    return found


def _value(run: RunSummary, name: str) -> float:
    return run.measures.values[name] if run.measures else math.nan


def _same(one: float, other: float) -> bool:
    return math.isnan(one) or math.isclose(one, other, rel_tol=ROUNDING, abs_tol=1e-12)


def _without(run: RunSummary, names: Collection[str]) -> RunSummary:
    if run.measures is None or not names:
        return run
    return replace(run, measures=replace(run.measures, values=run.measures.values | dict.fromkeys(names, math.nan)))


def _measured(run: RunSummary, wanted: dict[str, Found[Metric]]) -> RunSummary:
    if run.measures is None or not wanted:
        return run
    values = dict(run.measures.values) | dict.fromkeys(wanted, math.nan)
    try:
        protocol = protocol_of(run.config)
    except BenchError as error:
        note(f"run {run.key}: {error}")
        return replace(run, measures=replace(run.measures, values=values))
    folder = RunFolder(run.path)
    masks, scores = folder.read_masks(), folder.read_scores()
    sequences = folder.read_label_sets() if folder.has("label_sets") else None
    truth, ignore = protocols.counted(protocol, masks.truth, masks.ignore, masks.known)
    for name, one in wanted.items():
        evaluation = Evaluation(protocol, masks.labels, truth, ignore, masks.predicted, scores, sequences)
        try:
            with calling(one.origin, "measure", f"metric '{name}'", seed=0):
                values[name] = one.spec.value(evaluation)
        except BenchError as error:
            note(f"run {run.key}: {error}")
    return replace(run, measures=replace(run.measures, values=values))
