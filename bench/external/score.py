"""Predictions of somebody's own code as a stored run: scores aligned, label sets read off them, both measured."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench
from bench.assembly import parts_of, protocol_of
from bench.code import plugin_code
from bench.contracts import DatasetSpec, PolicyState, Protocol
from bench.data.fingerprint import fingerprint_over, refuse_choosing_on_test
from bench.data.thumbnails import thumbnail
from bench.errors import BenchError, UsageError
from bench.evaluation import policies
from bench.evaluation.policies import Policy
from bench.external.align import Aligned, Reading, aligned
from bench.external.doubts import doubts
from bench.external.given import Source
from bench.model.inspection import gallery_rows
from bench.options import OptionValue, parse_assignments, resolve
from bench.origins import of_policy
from bench.plugins import Found, installed
from bench.records import Exhibits, Parts, Prediction, RunRequest, Scores, Split
from bench.run_config import dataset_config
from bench.store.external import EXTERNAL, scores_hash
from bench.store.measured import measured
from bench.store.mirror import publish
from bench.store.protocol import code_of as protocol_code
from bench.store.run_folder import RunFolder
from bench.store.runs import given_name, open_run
from bench.store.stored import About
from bench.system.clock import Stopwatch
from bench.system.environment import environment
from bench.system.text import one_line

NAME = re.compile(r"[A-Za-z0-9][\w.+ -]{0,63}")
"""What a run of somebody's own scores may be called."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The data set that predictions are of, as ``request`` asks."""

    request: RunRequest
    found: Found[DatasetSpec]
    options: Mapping[str, OptionValue]
    parts: Parts

    @property
    def protocol(self) -> Protocol:
        """Return the protocol asked for, or the data set's. Raises ``UsageError`` where it does not fit the labels."""
        return protocol_of(self.request, self.parts)


def open_data(request: RunRequest) -> Opened:
    """Return the data set that ``request`` names, its fingerprints computed. Raises ``BenchError``."""
    if not NAME.fullmatch(request.model):
        raise UsageError(
            f"--name: found '{request.model}', allowed: up to 64 letters, digits and _ . + - or spaces, a letter or"
            " digit first. Try: --name my-model"
        )
    found = installed().dataset(request.dataset)
    given = {}
    for name, value in parse_assignments(request.sets).items():
        owner, _, rest = name.partition(".")
        if owner != "dataset" or not rest:
            raise UsageError(f"--set: found '{name}', allowed: dataset.NAME, as nothing is trained here")
        given[rest] = value
    options = resolve(found.spec.options, given, f"dataset '{found.spec.name}'", "dataset.")
    return Opened(request, found, options, parts_of(found, options, request))


@dataclass(frozen=True, slots=True)
class Predictions:
    """Scores or label sets of the test part and, where they were given, of the validation part."""

    test: Source
    validation: Source | None = None


def open_and_read(
    request: RunRequest, read: Callable[[tuple[str, ...]], Predictions]
) -> tuple[Opened, Predictions, Stopwatch]:
    """Return the data set of ``request``, what ``read`` returns for its label names, and the clock of both."""
    clock = Stopwatch()
    with clock.stage("open data set"):
        opened = open_data(request)
    with clock.stage("read"):
        return opened, read(opened.parts.dataset.labels), clock


def store_scores(
    opened: Opened, reading: Reading, predictions: Predictions, clock: Stopwatch | None = None
) -> RunFolder:
    """Return the run of ``predictions``, made if it is not stored; the request's ``model`` is its name.

    On those of the validation part policies and thresholds can be chosen. Raises ``BenchError`` for what is not the
    data set's or in doubt; nothing is stored then.
    """
    clock, parts, protocol, request = clock or Stopwatch(), opened.parts, opened.protocol, opened.request
    source, validation = predictions.test, predictions.validation
    policy = _policy(request, protocol, reading, validation)
    with clock.stage("align"):
        test = aligned(source.given, parts.test, reading, _others(parts, parts.test), request.cache)
        judged = _judged(validation, parts, reading, request.cache)
    with clock.stage("policy"):
        state = None
        if judged is not None:
            part = parts.validation
            labels = parts.dataset.labels
            state = policies.fit(policy, protocol, judged.scores, part.truth, ignore=part.ignore, labels=labels)
        prediction = _predicted(test.scores, policy, protocol, state, request.cache)
        of_validation = None if judged is None else _predicted(judged.scores, policy, protocol, state, request.cache)
    folder = open_run(request.out, _config(opened, policy, reading, predictions, (test, judged)))
    if folder.done:
        folder.keep_sizes(parts.test.sizes)
        publish(folder.path)
        return folder
    with folder.lock():
        folder.write_about(_about(opened, policy, reading, predictions, ()))
        folder.write_environment(environment() | {"fingerprint_over": fingerprint_over(parts.train)})
        folder.write_request(request)
        folder.write_truth(parts.test)
        folder.keep_sizes(parts.test.sizes)
        if state is not None:
            folder.write_policy(state)
        if of_validation is not None:
            folder.write_validation(parts.validation, of_validation)
        folder.write_prediction(prediction)
        with clock.stage("inspect"):
            folder.write_exhibits(_pictures(parts.test))
        with clock.stage("measure"):
            masks = folder.read_masks()
            measures = measured(protocol, masks, masks.predicted, prediction.scores, None)
        told = (*test.notes, *(f"validation: {note}" for note in (judged.notes if judged else ())))
        told += doubts(prediction.scores, protocol.k if policy.name == "exactly-k" else 0, measures)
        folder.write_about(_about(opened, policy, reading, predictions, told))
        folder.write_measures(measures)
        folder.write_timings(clock.to_json())
        folder.finish()
    publish(folder.path)
    return folder


def _policy(request: RunRequest, protocol: Protocol, reading: Reading, validation: Source | None) -> Policy:
    kind = "sets" if reading.kind == "labels" else "scores"
    found = installed().policy(request.policy, kind)
    policy = policies.chosen(request.policy, found, protocol, kind)
    if kind == "sets" and policy.name != "own":
        raise UsageError(
            f"--policy {request.policy}: label sets are as the file has them, allowed: own. Try: without it"
        )
    if policy.fitted and validation is None:
        raise UsageError(
            f"--policy {request.policy} is chosen on validation images, whose scores were not given."
            " Try: --validation FILE"
        )
    return policy


def _judged(validation: Source | None, parts: Parts, reading: Reading, room: Path) -> Aligned | None:
    if validation is None:
        return None
    refuse_choosing_on_test(parts.dataset.name, parts.fingerprints)
    return aligned(validation.given, parts.validation, reading, _others(parts, parts.validation), room)


def _others(parts: Parts, own: Split) -> dict[str, tuple[str, ...]]:
    """Return the ids of the parts that are not ``own``, so that an error can say which part an image is of."""
    named = {"test": parts.test, "validation": parts.validation, "train": parts.fit}
    return {name: split.ids for name, split in named.items() if split is not own}


def _predicted(scores: Scores, policy: Policy, protocol: Protocol, state: PolicyState | None, room: Path) -> Prediction:
    return Prediction(scores, policies.read(policy, protocol, scores, state).unpacked(room))


def _config(
    opened: Opened,
    policy: Policy,
    reading: Reading,
    predictions: Predictions,
    found: tuple[Aligned, Aligned | None],
) -> dict[str, Any]:
    """Return everything that shapes the result. The scores themselves are in it by their hash."""
    (test, judged), request, other = found, opened.request, predictions.validation
    return {
        "bench": bench.__version__,
        "code": protocol_code(opened.protocol)
        | ({} if policy.found is None else {"policy": plugin_code(policy.found)}),
        "model": {
            "name": request.model,
            "distribution": EXTERNAL,
            "version": "",
            "kind": "sets" if reading.kind == "labels" else "scores",
            "options": {},
        },
        "training": {},
        "search": {},
        "dataset": dataset_config(opened.found, opened.options, opened.parts),
        "backbone": {"name": EXTERNAL},
        "protocol": opened.protocol.name,
        "policy": policy.to_json(),
        "seed": request.seed,
        EXTERNAL: {
            "kind": reading.kind,
            "sha256": predictions.test.sha256,
            "validation_sha256": other.sha256 if other else "",
            "scores": scores_hash(test.scores),
            "validation_scores": scores_hash(judged.scores) if judged else "",
        },
    }


def _about(opened: Opened, policy: Policy, reading: Reading, predictions: Predictions, told: tuple[str, ...]) -> About:
    source, validation, request = predictions.test, predictions.validation, opened.request
    dataset, said = opened.parts.dataset, reading.in_words()
    as_read = f"{one_line(source.name)}{f', read with {said}' if said else ''}"
    data = f"default of data set '{dataset.name}'"
    judged = f"SHA-256 of {one_line(validation.name)}" if validation else "no scores of validation images were given"
    origins = {
        "bench": "installed distribution",
        "model.name": "--name",
        "dataset.name": "--dataset",
        "dataset.train": "--train-split" if request.train_split else data,
        "dataset.test": "--test-split" if request.test_split else data,
        "protocol": "--protocol" if request.protocol else data,
        "seed": "--seed",
        "external.kind": "--kind",
        "external.sha256": f"SHA-256 of {as_read}",
        "external.validation_sha256": judged,
        "external.scores": "SHA-256 of the scores as they are stored",
        "external.validation_scores": "SHA-256 of the validation part's scores as they are stored",
        **of_policy(request.policy, policy.found, opened.protocol.name),
    }
    called = given_name(request.out, dataset.name, opened.parts.fingerprints)
    return About("", dataset.variant, origins, dataset.notes, told, part_of=dataset.part_of, dataset=called)


def _pictures(split: Split) -> Exhibits:
    """Return small pictures of some test images, or a run without: they must not cost it its numbers."""
    with contextlib.suppress(BenchError, OSError):
        return Exhibits({row: thumbnail(split, row) for row in gallery_rows(len(split))})
    return Exhibits({})
