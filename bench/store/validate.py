"""Whether stored runs are what they claim, from their folders alone; docs/reliability.md says against whom.

Files, place and key; truth, weights and request bound to the key; label sets from scores or sequences; every measure,
row of a class and note computed again; training curves and exhibits held against the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.code import plugin_code
from bench.errors import BenchError, UsageError
from bench.evaluation import metric_table, policies
from bench.records import LabelSets, Measures, Scores
from bench.store import binding, choice, external, predictions, shown, training_curves
from bench.store.measured import measured
from bench.store.protocol import protocol_of
from bench.store.run_folder import RunFolder
from bench.store.stored import Masks, ValidationPart
from bench.system.text import one_line

TOLERANCE = 1e-9
"""Largest difference between a stored measure and the one computed again; both are float64 of the same arrays."""

OWN_SETS = "its label sets are the model's own: that its weights give them is seen by --recompute alone"

NOT_CHECKED = "not checked: "
"""Before why a run is neither sound nor false: the plugin of its policy or protocol is not here."""

OTHER_POLICY = "the code of policy {} has changed since: that it gives these label sets is not checked"

Level = Literal["folder", "recomputed", "retrained"]
"""What a verdict rests on: the folder alone; prediction from weights and data as well; training as well."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run and what is wrong with it; ``faults`` is empty for an honest one.

    ``unmeasured`` are the metrics that it was stored without: it is older than they are, which is no fault.
    ``notes`` say what a check beyond the folder compared, or why it could not be done.
    """

    folder: Path
    state: str
    faults: tuple[str, ...]
    unmeasured: tuple[str, ...] = ()
    level: Level = "folder"
    notes: tuple[str, ...] = ()


def validate(folders: Iterable[RunFolder]) -> list[Verdict]:
    """Return a verdict on every run, in their order, each from its folder alone."""
    return [verdict(folder) for folder in folders]


def verdict(folder: RunFolder) -> Verdict:
    """Return the verdict on one run, from its folder alone."""
    state = "damaged"
    try:
        state = folder.status.state
        damaged = folder.verify()
        if damaged:
            return Verdict(folder.path, state, tuple(f"{name} is not what was written" for name in damaged))
        if foreign := folder.foreign():
            return Verdict(folder.path, state, tuple(f"{name} is another run's" for name in foreign))
        config = folder.config  # the store refuses one that the run's key is not the hash of
        faults = _understood("config.json", lambda: binding.misplaced(folder, config))
        if state != "done":
            return Verdict(folder.path, state, tuple(faults))
        stored = folder.read_measures()
        unmeasured = tuple(name for name in metric_table.by_name() if name not in stored.values)
        unmeasured += tuple(f"the classes' {name}" for name in metric_table.PER_CLASS if name not in stored.per_class)
        source = external.of_config(config)
        notes = (*([external.UNSEEN.format(source["sha256"])] if source else ()), *_unseen(config))
        return Verdict(folder.path, state, (*faults, *_lies(folder, config, stored)), unmeasured, notes=notes)
    except BenchError as error:
        lacks = isinstance(error, UsageError)
        return Verdict(folder.path, state if lacks else "damaged", (f"{NOT_CHECKED * lacks}{error}",))
    except Exception as error:  # records that were sealed anew need not fit together
        return Verdict(folder.path, "damaged", (f"its records do not fit together: {one_line(str(error))}",))


def _lies(folder: RunFolder, config: Mapping[str, Any], stored: Measures) -> list[str]:
    """Return what of a finished run does not follow from the rest of its folder."""
    lacking = _understood("config.json", lambda: binding.incomplete(folder, config))
    if lacking:
        return lacking
    masks, scores = folder.read_masks(), folder.read_scores()
    sequences = folder.read_label_sets() if folder.has("label_sets") else None
    protocol = protocol_of(config)
    predicted, labels = masks.predicted, len(masks.labels)
    checks: dict[str, Callable[[], list[str]]] = {
        "config.json": lambda: binding.unbound(config, masks, scores.ids),
        "request.json": lambda: binding.another_request(folder, config),
        "training.json": lambda: _of_training(folder, config),
        "trials.json": lambda: choice.faults(folder.read_trials(), config) if "trials" in config else [],
        "gallery.npz": lambda: shown.of_gallery(folder, len(scores.ids)),
    }
    checks |= _of_policy(folder, config, masks, scores, sequences)
    if sequences is not None:
        options = predictions.search_options(protocol, config)
        checks["label_sets.npz"] = lambda: predictions.of_sequences(options, scores, sequences)
        checks["trees.json"] = lambda: shown.of_sequence_model(folder, options, sequences, labels)
    faults = [fault for name, check in checks.items() for fault in _understood(name, check)]
    if stored.protocol != protocol.name:
        return [*faults, f"measured by {stored.protocol}, its config says {protocol.name}"]
    again = measured(protocol, masks, predicted, scores, sequences)
    return [*faults, *_different(stored, again)]


def _of_training(folder: RunFolder, config: Mapping[str, Any]) -> list[str]:
    if not folder.lists("training"):
        return []
    weights = folder.read_weights() if folder.lists("weights") else None
    return training_curves.faults(folder.read_training(), config["training"], weights)


def _unseen(config: Mapping[str, Any]) -> list[str]:
    """Return what of the label sets cannot be told from the folder."""
    policy = policies.of_config(config)
    source = external.of_config(config)
    if source is not None and source["kind"] == "labels":
        return []
    if policy.found is not None and plugin_code(policy.found) != config["code"].get("policy"):
        return [OTHER_POLICY.format(policy.name)]
    return [OWN_SETS] if policy.name == "own" else []


def _of_policy(
    folder: RunFolder, config: Mapping[str, Any], masks: Masks, scores: Scores, sequences: LabelSets | None
) -> dict[str, Callable[[], list[str]]]:
    """Return the checks of the label-set policy: what it chose on the validation part, and the label sets of both."""
    policy, protocol = policies.of_config(config), protocol_of(config)
    part = folder.read_validation() if folder.lists("validation") else None
    state = folder.read_policy() if policy.fitted else None
    unseen = _unseen(config)

    def of_validation(part: ValidationPart) -> list[str]:
        told, of_part = part.known, part.prediction
        faults = [*binding.unbound_validation(config, part), *predictions.of_range(of_part.scores)]
        claimed = {name: config["policy"][name] for name in ("name", "amount", "by_protocol")}
        if any(policy.to_json()[name] != value for name, value in claimed.items()):
            faults.append(f"its label-set policy is not as its config has it: {policy.to_json()}")
        if faults or unseen:
            return faults
        if (of_part.label_sets is None) != (sequences is None):
            return ["its validation part and its test part differ in whether there are label sequences"]
        return predictions.by_policy(
            policy, protocol, of_part.scores, of_part.label_sets, of_part.predicted, known=told, state=state
        )

    checks: dict[str, Callable[[], list[str]]] = {
        "scores.npy": lambda: [*predictions.of_range(scores), *binding.other_scores(config, scores, part)]
    }
    if part is not None:
        checks["validation.npz"] = lambda: of_validation(part)
    if unseen:
        return checks
    if state is not None and part is not None:
        checks["policy.npz"] = lambda: predictions.of_state(policy, protocol, part, state)
    checks["predicted.npz"] = lambda: predictions.by_policy(
        policy, protocol, scores, sequences, masks.predicted, known=masks.known, state=state
    )
    return checks


def _understood(name: str, check: Callable[[], list[str]]) -> list[str]:
    """Return the faults that ``check`` finds; that it cannot make sense of a record is one."""
    try:
        return check()
    except BenchError:
        raise
    except Exception as error:  # what was sealed anew may hold anything, and a check trips over any of it
        return [f"{name} is not as a run stores it: {type(error).__name__} {one_line(str(error))}"]


def _different(stored: Measures, again: Measures) -> list[str]:
    """Return what is stored and does not equal what is measured again; what is not stored cannot be wrong."""
    faults, unnamed = [], []
    for name, claimed in stored.values.items():
        metric = metric_table.by_name().get(name)
        if metric is None:
            unnamed.append(f"{name} is stored, and no metric of the protocol")
        elif not _equal(claimed, again.values[name]):
            found = metric.shown(again.values[name], 1)
            faults.append(f"{name} is stored as {metric.shown(claimed, 1)}, its predictions give {found}")
    for name, claimed_row in stored.per_class.items():
        row = again.per_class.get(name)
        if row is None:
            unnamed.append(f"the classes' {name} are stored, and nothing that is measured of a class")
        elif len(claimed_row) != len(row) or not all(map(_equal, claimed_row, row)):
            faults.append(f"the classes' {name} are not those of its predictions")
    if stored.notes != again.notes:
        faults.append("the notes on its measures are not those of its predictions")
    return [*unnamed, *faults]


def _equal(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= TOLERANCE
