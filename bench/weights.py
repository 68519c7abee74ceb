"""The weights of a run: of a fine-tuned backbone and of the trained model, made now or as its folder has them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.assembly import Assembly
from bench.contracts import Backbone, ModelRequest
from bench.errors import PluginError
from bench.options import given
from bench.plan import Plan
from bench.rebuilt import with_weights
from bench.records import FloatArray
from bench.run_config import check_code
from bench.store.run_folder import CHECKPOINT, TUNING_CHECKPOINT, RunFolder
from bench.store.run_reader import TUNED_BY
from bench.system import ranks
from bench.system.clock import Stopwatch
from bench.system.threads import cores_shared
from bench.system.turns import all_cores
from bench.uncounted import uncounted

if TYPE_CHECKING:
    from bench.model.checkpoint import CheckpointFile, TuningState
    from bench.model.features import PartFeatures


def fine_tuned(folder: RunFolder, assembly: Assembly, clock: Stopwatch) -> Backbone:
    """Return the backbone as fine-tuned in this run, now or before."""
    from bench.model import train
    from bench.model.checkpoint import CheckpointFile, TuningState

    request, path = assembly.plan.request, folder.path / TUNING_CHECKPOINT
    with clock.stage("fine-tune"):
        if folder.has("backbone"):
            return with_weights(assembly.backbone, folder.read_backbone())
        # A model of its own: the run's model is then trained on the tuned features from the start, as on frozen ones.
        head = assembly.build_model(assembly.backbone)
        with assembly.plan.calling("model", "fine-tune", seed=request.seed):
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


def train_model(
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
    with clock.stage("train"), plan.calling("model", "train", seed=plan.request.seed):
        record = assembly.train(model, extracted.fit, held_out, plan.request.device, checkpoint)
        _check_code(folder, plan, checkpoint)
        checks.check_answers(model, extracted.validation.values, labels, search)
        weights = train.save_weights(model)

    with clock.stage("train"), plan.calling("model", "load weights", seed=plan.request.seed):
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


def _check_start(
    folder: RunFolder, assembly: Assembly, backbone: Backbone, model: Any, values: FloatArray, *, clock: Stopwatch
) -> tuple[str, ...]:
    """Return notes on what training will not reach of ``model``, once that is sound as far as can be known before."""
    from bench.model import checks, start_checks, train

    plan, labels = assembly.plan, len(assembly.parts.fit.labels)
    with clock.stage("build model"):
        again = assembly.build_model(backbone)
        with plan.calling("model", "build model", seed=plan.request.seed):
            start_checks.check_built_again(model, again)
    check_code(plan, folder.config["code"], begins=True)
    if hasattr(model, "fit") or not train.gradient_trained(plan.training):
        return ()  # what a fit makes of a model cannot be known before
    with clock.stage("train"), plan.calling("model", "train", seed=plan.request.seed):
        checks.check_answers(model, values, labels, assembly.search)
        return start_checks.check_reached(again, values, *assembly.to_train_on, plan.training)


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

    with plan.calling("model", "load weights"):
        train.load_weights(model, folder.read_weights())
        # As training leaves it: what follows is computed where the config says.
        model.to(plan.request.device)
