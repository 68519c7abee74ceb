"""One run from images to measures: the only file that knows the order of the stages.

    data set -> features -> train -> predict -> inspect -> measure

Each stage takes records and returns one, which is stored before the next stage begins. So a run that was killed
continues where it stopped, and everything after the predictions can be computed again from the run folder alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import assembly as assembling
from bench import plugins, run_config
from bench.assembly import Assembly, build_backbone, check_device, choose_protocol, open_parts
from bench.contracts import Backbone, ModelRequest
from bench.data.fingerprint import fingerprint_over
from bench.errors import BenchError, PluginError, StoreError
from bench.evaluation import policies
from bench.guard import calling, full_traceback, reason
from bench.model.settings import check_training
from bench.options import given
from bench.plan import Plan, make_plan
from bench.plugins import Found, Registry
from bench.rebuilt import with_weights
from bench.records import FloatArray, Prediction, RunRequest
from bench.run_config import check_code, make_config
from bench.store.derived import derive, lender
from bench.store.mirror import publish
from bench.store.predictions import of_range
from bench.store.run_folder import CHECKPOINT, TUNING_CHECKPOINT, RunFolder
from bench.store.run_reader import TUNED_BY
from bench.store.runs import given_name, open_run
from bench.system import interrupts, ranks
from bench.system.clock import Stopwatch
from bench.system.environment import environment
from bench.system.journal import Journal, forget_progress
from bench.system.threads import cores_shared
from bench.system.turns import all_cores
from bench.uncounted import uncounted

if TYPE_CHECKING:
    from bench.model.checkpoint import CheckpointFile, TuningState
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
        with _calling(plan.backbone, "features", "backbone"):
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
    backbone = _fine_tune(folder, assembly, clock) if plan.finetune else assembly.backbone
    with clock.stage("features"), _calling(plan.backbone, "features", "backbone"):
        tuned = str(folder.path.absolute()) if plan.finetune else ""
        helpers = ranks.helpers(request=request.to_json(), tuned=tuned)
        cache = request.cache / "features"
        extracted = features.of_parts(parts, backbone, cache, device=request.device, helpers=helpers)
    with clock.stage("build model"):
        model = assembly.build_model(backbone, asked := assembly.model_request(backbone))
    told = _train(folder, assembly, backbone, model, extracted, asked=asked, clock=clock)
    known = assembly.known_of(parts.validation)
    with clock.stage("predict"), _calling(plan.model, "predict", "model", request.seed):
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


def _calling(
    found: Found[Any], stage: str, kind: str, seed: int | None = None
) -> contextlib.AbstractContextManager[None]:
    return calling(found.origin, stage, f"{kind} '{found.spec.name}'", seed=seed)


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

    test = assembly.parts.test
    try:
        with _calling(assembly.plan.model, "inspect", "model", assembly.plan.request.seed):
            exhibits = inspection.inspect(
                test, model, extracted.test, backbone, options=assembly.search, label_sets=prediction.label_sets
            )
            folder.write_exhibits(exhibits)
    except StoreError:
        raise
    except BenchError as error:
        return (f"no picture of anything: {reason(error)}",)
    return exhibits.notes


def _fine_tune(folder: RunFolder, assembly: Assembly, clock: Stopwatch) -> Backbone:
    """Return the backbone as fine-tuned in this run, now or before."""
    from bench.model import train
    from bench.model.checkpoint import CheckpointFile, TuningState

    request, path = assembly.plan.request, folder.path / TUNING_CHECKPOINT
    with clock.stage("fine-tune"):
        if folder.has("backbone"):
            return with_weights(assembly.backbone, folder.read_backbone())
        # A model of its own: the run's model is then trained on the tuned features from the start, as on frozen ones.
        head = assembly.build_model(assembly.backbone)
        with _calling(assembly.plan.model, "fine-tune", "model", request.seed):
            # The run's key says all that shapes it. An epoch takes longer than to write what it led to.
            checkpoint = CheckpointFile(path, f"{folder.key} fine-tune", TuningState, seconds=0.0)
            with all_cores() if request.device == "cpu" else contextlib.nullcontext():
                tuned = _tuned(folder.config, assembly, head, checkpoint)
        _check_code(folder, assembly.plan, path)
        folder.write_environment(folder.read_environment() | {TUNED_BY: _counted(checkpoint.last.made_by)})
    folder.write_backbone(train.save_weights(tuned.module))
    path.unlink(missing_ok=True)
    return tuned


def _tuned(
    config: Mapping[str, Any], assembly: Assembly, head: Any, checkpoint: CheckpointFile[TuningState]
) -> Backbone:
    """Return the backbone as trained with ``head``, by this process or by all ranks together, if of one ``config``."""
    from bench.model.group import Group, OtherFailedError

    request = assembly.plan.request
    helpers = ranks.helpers(request=request.to_json())
    if helpers is None:
        return assembly.fine_tune(head, request.device, checkpoint)
    asked = helpers.ask("fine-tune", config=config)
    asked.wait("ready")
    try:
        with cores_shared(helpers.local):
            group = Group.joined(helpers.team, request.device)
            return assembly.fine_tune(head, request.device, checkpoint, group)
    except OtherFailedError:
        asked.wait()  # which raises what the other has told
        raise


def _counted(made_by: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Return by how many processes and threads how many epochs were made, one after another."""
    found: list[dict[str, int]] = []
    for one in made_by:
        if found and all(found[-1][name] == count for name, count in one.items()):
            found[-1]["epochs"] += 1
        else:
            found.append({"epochs": 1, **one})
    return found


def _check_start(
    folder: RunFolder, assembly: Assembly, backbone: Backbone, model: Any, values: FloatArray, *, clock: Stopwatch
) -> tuple[str, ...]:
    """Return notes on what training will not reach of ``model``, once that is sound as far as can be known before."""
    from bench.model import checks, start_checks, train

    plan, labels = assembly.plan, len(assembly.parts.fit.labels)
    with clock.stage("build model"):
        again = assembly.build_model(backbone)
        with _calling(plan.model, "build model", "model", plan.request.seed):
            start_checks.check_built_again(model, again)
    check_code(plan, folder.config["code"], begins=True)
    if hasattr(model, "fit") or not train.gradient_trained(plan.training):
        return ()  # what a fit makes of a model cannot be known before
    with clock.stage("train"), _calling(plan.model, "train", "model", plan.request.seed):
        checks.check_answers(model, values, labels, assembly.search)
        return start_checks.check_reached(again, values, *assembly.to_train_on, plan.training)


def _train(
    folder: RunFolder,
    assembly: Assembly,
    backbone: Backbone,
    model: Any,
    extracted: PartFeatures,
    *,
    asked: ModelRequest,
    clock: Stopwatch,
) -> tuple[str, ...]:
    """Leave ``model``, built of ``asked``, with the weights of this run, trained now or before.

    Return notes on what training does not reach, on options that nothing has read and on code that no key holds.
    """
    from bench.model import checks, train

    plan, parts = assembly.plan, assembly.parts
    notes = _check_start(folder, assembly, backbone, model, extracted.fit.values, clock=clock)
    if folder.has("weights") and folder.has("training"):
        _take_weights(folder, plan, model)
        return notes
    search, labels, checkpoint = assembly.search, len(parts.fit.labels), folder.path / CHECKPOINT
    held_out = None if assembly.refit else assembly.validation_part(extracted.validation)
    with clock.stage("train"), _calling(plan.model, "train", "model", plan.request.seed):
        record = assembly.train(model, extracted.fit, held_out, plan.request.device, checkpoint)
        _check_code(folder, plan, checkpoint)
        checks.check_answers(model, extracted.validation.values, labels, search)
        weights = train.save_weights(model)

    with clock.stage("train"), _calling(plan.model, "load weights", "model", plan.request.seed):
        fresh = assembly.build_model(backbone)
        train.load_weights(fresh, weights)
        try:
            checks.check_weights_are_all(model, fresh.to(plan.request.device), extracted.validation.values, search)
        except PluginError:
            # It holds the weights without that state: a training that goes on from it would pass.
            checkpoint.unlink(missing_ok=True)
            raise
    folder.write_training(record.to_json())
    folder.write_weights(weights)
    made = [*model.modules(), getattr(model, "model", None)]  # of arrays: behind the host's module
    unread = given(asked.options).unread(plan.model.spec.options, f"model '{plan.model.spec.name}'")
    return (*notes, *unread, *uncounted(plan.model, "model", made))


def _check_code(folder: RunFolder, plan: Plan, checkpoint: Path) -> None:
    """Raise as ``check_code`` does; the ``checkpoint`` is of other code then, and goes."""
    try:
        check_code(plan, folder.config["code"])
    except PluginError:
        checkpoint.unlink(missing_ok=True)
        raise


def _take_weights(folder: RunFolder, plan: Plan, model: Any) -> None:
    """Give ``model`` the weights that an earlier process stored."""
    from bench.model import train

    with _calling(plan.model, "load weights", "model"):
        train.load_weights(model, folder.read_weights())
        # As training leaves it: what follows is computed where the config says.
        model.to(plan.request.device)
