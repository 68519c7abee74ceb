"""One run from images to measures: the only file that knows the order of the stages.

    data set -> features -> train -> predict -> inspect -> measure

Each stage takes records and returns one, which is stored before the next stage begins. So a run that was killed
continues where it stopped, and everything after the predictions can be computed again from the run folder alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench import assembly as assembling
from bench import plugins, run_config, weights
from bench.assembly import Assembly, build_backbone, check_device, choose_protocol, open_parts
from bench.contracts import Backbone
from bench.data.fingerprint import fingerprint_over
from bench.errors import BenchError, PluginError, StoreError
from bench.evaluation import policies
from bench.guard import full_traceback, reason
from bench.model.settings import check_training
from bench.plan import make_plan
from bench.plugins import Registry
from bench.records import Prediction, RunRequest
from bench.run_config import check_code, make_config
from bench.store.derived import derive, lender
from bench.store.mirror import publish
from bench.store.predictions import of_range
from bench.store.run_folder import RunFolder
from bench.store.run_reader import TUNED_BY
from bench.store.runs import given_name, open_run
from bench.system import interrupts, ranks
from bench.system.clock import Stopwatch
from bench.system.environment import environment
from bench.system.journal import Journal, forget_progress

if TYPE_CHECKING:
    from bench.model.features import PartFeatures


def run_one(
    request: RunRequest, registry: Registry | None = None, *, opened: Callable[[RunFolder], None] = lambda _: None
) -> RunFolder:
    """Run what ``request`` asks for, or only what of it is missing, and return its finished folder.

    ``opened`` is told of the folder as soon as it is known. Raises ``BenchError``, or whatever a plugin raises; where
    the folder is already known, the failure is stored in it first.
    """
    begun: list[RunFolder] = []

    def begins(folder: RunFolder) -> None:
        begun.append(folder)
        opened(folder)

    try:
        with Journal() as journal:
            folder = _run(request, registry, begins, journal)
    except Exception:
        interrupts.check()
        if begun:
            _publish_failure(begun[0])
        raise
    publish(folder.path)
    return folder


def _publish_failure(folder: RunFolder) -> None:
    """Have a failed run stand in a store elsewhere, too; the failure is what is told, whatever comes of that."""
    with contextlib.suppress(BenchError):
        if folder.status.state == "failed":
            publish(folder.path)


def _run(
    request: RunRequest, registry: Registry | None, opened: Callable[[RunFolder], None], journal: Journal
) -> RunFolder:
    plan = make_plan(request, registry or plugins.installed())
    check_training(plan.training)
    ranks.check_device(request.device)
    check_device(request.device)
    if helpers := ranks.helpers(request=request.to_json()):
        helpers.ask("prepare")
    clock = Stopwatch(listener=journal)
    with clock.stage("open data set"):
        parts = open_parts(plan)
    protocol = choose_protocol(plan, parts)
    with clock.stage("build backbone"):
        backbone = build_backbone(plan)
    assembly = Assembly(plan, parts, backbone, protocol)
    if request.trials is not None:
        from bench.trials.search import search

        with clock.stage("trials"):
            assembly = assembling.after_trials(assembly, search(assembly))
    folder = open_run(request.out, make_config(assembly))
    opened(folder)
    if not folder.done and (stored := lender(folder)):
        # All but what the policy decides is there: nothing is trained or predicted again.
        made = derive(stored, request.policy or assembly.policy.name, registry, assembly.ledger)
        return _named(made, request.name)
    if not os.access(folder.path, os.W_OK) and folder.done:
        return _named(folder, request.name)  # what its key does not hold stays as it was
    with folder.lock():
        if folder.done:
            forget_progress(folder.path)
            run_config.bring_up_to_date(folder, assembly)
            return _named(folder, request.name)
        with journal.kept_in(folder.path):
            try:
                _fill(folder, assembly, clock)
            except Exception as error:
                interrupts.check()
                # Whatever a plugin raises, the failure stays in the store as a row with its reason.
                folder.fail(clock.current, reason(error), full_traceback(error))
                raise
    return folder


def _named(folder: RunFolder, name: str) -> RunFolder:
    """Return a finished run, its data set called ``name`` from now on where that is given."""
    about = folder.read_about()
    if name and about.dataset != name:
        folder.write_about(replace(about, dataset=name))
    return folder


def extract_features(request: RunRequest) -> None:
    """Put the features that the run of ``request`` takes into the cache, unless it tunes its backbone first."""
    from bench.model import features

    plan = make_plan(request, plugins.installed())
    check_device(request.device)
    parts, backbone = open_parts(plan), build_backbone(plan)
    if not plan.finetune:
        with plan.calling("backbone", "features"):
            features.of_parts(parts, backbone, request.cache / "features", device=request.device)


def _fill(folder: RunFolder, assembly: Assembly, clock: Stopwatch) -> None:
    """Do what the folder still lacks, in order."""
    from bench.model import checks, features
    from bench.model.predict import predict

    plan, parts, protocol = assembly.plan, assembly.parts, assembly.protocol
    request, search = plan.request, assembly.search
    about = run_config.about(assembly)
    called = about.dataset or given_name(request.out, plan.dataset.spec.name, parts.fingerprints)
    about = replace(about, dataset=called)
    folder.write_about(about)
    sizes: dict[str, Any] = {"backbone_bytes": _size(assembly.backbone)}
    # What an earlier process did stays told.
    tuned_by = folder.tuned_by() if folder.has("backbone") and folder.has("environment") else []
    sizes |= {"fingerprint_over": fingerprint_over(parts.train)} | ({TUNED_BY: tuned_by} if tuned_by else {})
    folder.write_environment(environment() | sizes)
    folder.write_request(request)
    folder.write_truth(parts.test)
    folder.keep_sizes(parts.test.sizes)
    if assembly.known is not None:
        folder.write_known(assembly.known)
    if assembly.ledger is not None:
        folder.write_trials(assembly.ledger)
    backbone = weights.fine_tuned(folder, assembly, clock) if plan.finetune else assembly.backbone
    with clock.stage("features"), plan.calling("backbone", "features"):
        tuned = str(folder.path.absolute()) if plan.finetune else ""
        helpers = ranks.helpers(request=request.to_json(), tuned=tuned)
        cache = request.cache / "features"
        extracted = features.of_parts(parts, backbone, cache, device=request.device, helpers=helpers)
    with clock.stage("build model"):
        model = assembly.build_model(backbone, asked := assembly.model_request(backbone))
    told = weights.train_model(folder, assembly, backbone, model, extracted, asked=asked, clock=clock)
    known = assembly.known_of(parts.validation)
    with clock.stage("predict"), plan.calling("model", "predict", seed=request.seed):
        prediction = predict(model, extracted.test, protocol, search, assembly.known, room=request.cache)
        checks.check_scores(prediction.scores.values, len(parts.test), len(parts.test.labels))
        checks.check_own(model, extracted.test.values, search, prediction)
        validation = predict(model, extracted.validation, protocol, search, known)
        for fault in (*of_range(prediction.scores), *of_range(validation.scores)):
            raise PluginError(f"{fault}. Try: another score_kind, or scores of that kind")
    with clock.stage("policy"):
        prediction = _by_policy(folder, assembly, prediction, validation)
    folder.write_prediction(prediction)
    with clock.stage("inspect"):
        remarks = (
            *told,
            *(() if plan.model.spec.every_table else checks.notes(prediction.scores)),
            *_inspect(folder, assembly, backbone, model, extracted, prediction=prediction),
            *run_config.notes_on_files(plan),
        )
    if remarks:
        folder.write_about(replace(about, remarks=remarks))
    with clock.stage("measure"):
        measures = assembly.measure(prediction)
    folder.write_measures(measures)
    extraction = features.speed(request.cache / "features", extracted.test.key)
    folder.write_timings(clock.to_json() | {"decoder": prediction.statistics, "feature_extraction": extraction})
    folder.finish()


def _by_policy(folder: RunFolder, assembly: Assembly, prediction: Prediction, validation: Prediction) -> Prediction:
    """Return ``prediction`` by the run's label-set policy, fitted on the validation part, which is stored with it."""
    part, policy, protocol = assembly.parts.validation, assembly.policy, assembly.protocol
    told = assembly.known_of(part)
    state = policies.fit(
        policy, protocol, validation.scores, part.truth, ignore=part.ignore, known=told, labels=part.labels
    )
    of_part = policies.applied(policy, protocol, validation, state, told)
    of_test = policies.applied(policy, protocol, prediction, state, assembly.known)
    check_code(assembly.plan, folder.config["code"])
    if state is not None:
        folder.write_policy(state)
    folder.write_validation(part, of_part, told)
    return of_test


def _size(backbone: Backbone) -> int | None:
    """Return how many bytes the backbone's weights take; ``None`` of one that is no torch module."""
    if not hasattr(backbone.module, "state_dict"):
        return None
    return sum(int(tensor.numel() * tensor.element_size()) for tensor in backbone.module.state_dict().values())


def _inspect(
    folder: RunFolder,
    assembly: Assembly,
    backbone: Backbone,
    model: Any,
    extracted: PartFeatures,
    *,
    prediction: Prediction,
) -> tuple[str, ...]:
    """Store what the run shows of some test images, and return a note of each thing that it cannot show."""
    from bench.model import inspection

    plan, test = assembly.plan, assembly.parts.test
    try:
        with plan.calling("model", "inspect", seed=plan.request.seed):
            exhibits = inspection.inspect(
                test, model, extracted.test, backbone, options=assembly.search, label_sets=prediction.label_sets
            )
            folder.write_exhibits(exhibits)
    except StoreError:
        raise
    except BenchError as error:
        return (f"no picture of anything: {reason(error)}",)
    return exhibits.notes
