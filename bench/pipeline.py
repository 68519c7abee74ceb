"""One run from images to measures: the only file that knows the order of the stages.

    data set -> features -> train -> predict -> inspect -> measure

Each stage takes records and returns one, which is stored before the next stage begins. So a run that was killed
continues where it stopped, and everything after the predictions can be computed again from the run folder alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench import assembly as assembling
from bench import plugins
from bench.assembly import Assembly, build_backbone, check_device, choose_protocol, make_config, open_parts
from bench.contracts import Backbone
from bench.data.fingerprint import fingerprint_over
from bench.evaluation.measure import measure
from bench.plan import make_plan
from bench.plugins import Registry
from bench.records import RunRequest
from bench.store.run_folder import CHECKPOINT, RunFolder
from bench.store.runs import open_run
from bench.system.clock import Stopwatch
from bench.system.environment import environment

if TYPE_CHECKING:
    from bench.model.features import PartFeatures


def run_one(
    request: RunRequest, registry: Registry | None = None, *, opened: Callable[[RunFolder], None] = lambda _: None
) -> RunFolder:
    """Run what ``request`` asks for, or only what of it is missing, and return its finished folder.

    ``opened`` is told of the folder as soon as it is known. Raises ``BenchError``, or whatever a plugin raises; where
    the folder is already known, the failure is stored in it first.
    """
    plan = make_plan(request, registry or plugins.installed())
    check_device(request.device)
    clock = Stopwatch()
    with clock.stage("open data set"):
        parts = open_parts(plan)
    protocol = choose_protocol(plan, parts)
    with clock.stage("build backbone"):
        backbone = build_backbone(plan)
    assembly = Assembly(plan, parts, backbone, protocol)
    folder = open_run(request.out, make_config(assembly))
    opened(folder)
    with folder.lock():
        if folder.done:
            return folder
        try:
            _fill(folder, assembly, clock)
        except Exception as error:
            # Whatever a plugin raises, the failure stays in the store as a row with its reason.
            folder.fail(clock.current, str(error) or type(error).__name__)
            raise
    return folder


def _fill(folder: RunFolder, assembly: Assembly, clock: Stopwatch) -> None:
    """Do what the folder still lacks, in order."""
    from bench.model import features, inspection
    from bench.model.predict import predict

    request, parts, protocol = assembly.plan.request, assembly.parts, assembly.protocol
    folder.write_about(assembling.about(assembly))
    folder.write_environment(environment() | {"fingerprint_over": fingerprint_over(parts.train)})
    folder.write_request(request)
    folder.write_truth(parts.test)
    if parts.test.sizes is not None:
        folder.write_sizes(parts.test.sizes)
    backbone = _fine_tune(folder, assembly, clock) if request.finetune else assembly.backbone
    with clock.stage("features"):
        extracted = features.of_parts(parts, backbone, request.cache / "features", device=request.device)
    model = assembly.build_model(backbone)
    _train(folder, assembly, model, extracted, clock)
    with clock.stage("predict"):
        prediction = predict(model, extracted.test, protocol, assembly.search)
    folder.write_prediction(prediction)
    with clock.stage("inspect"):
        exhibits = inspection.inspect(
            parts.test, model, extracted.test, backbone, options=assembly.search, label_sets=prediction.label_sets
        )
    folder.write_exhibits(exhibits)
    with clock.stage("measure"):
        test = parts.test
        measures = measure(
            protocol,
            test.labels,
            test.truth,
            test.ignore,
            prediction.predicted,
            prediction.scores,
            sequences=prediction.label_sets,
        )
    folder.write_measures(measures)
    extraction = features.speed(request.cache / "features", extracted.test.key)
    folder.write_timings(clock.to_json() | {"decoder": prediction.statistics, "feature_extraction": extraction})
    folder.finish()


def _fine_tune(folder: RunFolder, assembly: Assembly, clock: Stopwatch) -> Backbone:
    """Return the backbone as fine-tuned in this run, now or before."""
    from bench.model import finetune, train

    request = assembly.plan.request
    with clock.stage("fine-tune"):
        if folder.has("backbone"):
            return assembling.with_weights(assembly.backbone, folder.read_backbone())
        # A model of its own: the run's model is then trained on the tuned features from the start, as on frozen ones.
        head = assembly.build_model(assembly.backbone)
        tuned = finetune.tune(
            assembly.backbone,
            head,
            assembly.parts.fit,
            *assembly.to_train_on,
            epochs=request.finetune,
            seed=request.seed,
            device=request.device,
        )
    folder.write_backbone(train.save_weights(tuned.module))
    return tuned


def _train(folder: RunFolder, assembly: Assembly, model: Any, extracted: PartFeatures, clock: Stopwatch) -> None:
    """Leave ``model`` with the weights of this run, trained now or before."""
    from bench.model import train
    from bench.model.predict import validator

    plan, parts = assembly.plan, assembly.parts
    if folder.has("weights"):
        train.load_weights(model, folder.read_weights())
        # As training leaves it: what follows is computed where the config says.
        model.to(plan.request.device)
        return
    truth, ignore = assembly.to_train_on
    with clock.stage("train"):
        record = train.fit(
            model,
            plan.training,
            extracted.fit,
            truth,
            validator(parts.validation, extracted.validation, assembly.protocol, assembly.search, assembly.select_by),
            name=plan.model.spec.name,
            seed=plan.request.seed,
            ignore=ignore,
            checkpoint=folder.path / CHECKPOINT,
            device=plan.request.device,
        )
    folder.write_training(record.to_json())
    folder.write_weights(train.save_weights(model))
