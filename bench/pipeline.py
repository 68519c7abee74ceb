"""One run from images to measures: the only file that knows the order of the stages.

    data set -> features -> train -> scores or label sequences -> measures

Each stage's result is stored before the next begins, so a run that was killed continues where it
stopped, and everything after the predictions can be computed again from the run folder alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench import plugins
from bench.contracts import Backbone, BackboneRequest, DatasetRequest, ModelRequest
from bench.data import open as data
from bench.errors import ModelError, NotRun
from bench.evaluation import protocols
from bench.plan import Plan, RunRequest, describe, make_plan
from bench.plugins import Registry
from bench.records import BoolArray, Dataset, Features, LabelSets, Scores, SearchOptions, Split
from bench.store.run_folder import RunFolder, open_run
from bench.system.clock import Stopwatch
from bench.system.environment import environment
from bench.system.files import canonical_json

HOLD_OUT = 0.1
"""Part of train on which learning rate and stopping are chosen, where a data set has no validation split."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The images of a run: ``fit`` and ``validation`` share no image, and neither shares one with ``test``."""

    dataset: Dataset
    fit: Split
    validation: Split
    fingerprints: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A stored run brought back to life."""

    plan: Plan
    parts: Parts
    backbone: Backbone
    model: Any
    protocol: protocols.Protocol


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of a split: scores per label, and its own label sets where it makes them."""

    scores: Scores
    predicted: BoolArray
    label_sets: LabelSets | None
    statistics: dict[str, float]


def run_one(request: RunRequest, registry: Registry | None = None) -> RunFolder:
    """Run what ``request`` asks for, or only what of it is missing, and return its finished folder.

    Raises ``BenchError``; where the run's folder is already known, the failure is stored in it first.
    """
    plan = make_plan(request, registry or plugins.installed())
    _check_device(request.device)
    clock = Stopwatch()
    with clock.stage("open data set"):
        parts = _open_parts(plan)
    protocol = protocols.get(request.protocol or parts.dataset.protocol)
    protocols.check(protocol, parts.dataset.labels)
    with clock.stage("build backbone"):
        backbone = _build_backbone(plan)
    config = make_config(plan, parts, backbone, protocol.name)
    folder = open_run(request.out, config)
    with folder.lock():
        if folder.done:
            return folder
        try:
            _fill(folder, plan, parts, backbone, protocol, clock=clock)
        except Exception as error:
            # Whatever a plugin raises, the failure stays in the store as a row with its reason.
            folder.fail(clock.current, str(error) or type(error).__name__)
            raise
    return folder


def make_config(plan: Plan, parts: Parts, backbone: Backbone, protocol: str) -> dict[str, Any]:
    """Return everything that shapes the result, as JSON; its hash is the run's key. No path is in it."""
    preprocessing = {name: getattr(backbone.preprocessing, name) for name in backbone.preprocessing.__slots__}
    return {
        "bench": bench.__version__,
        "model": describe(plan.model)
        | {"kind": plan.model.spec.kind, "row": plan.model.spec.row, "options": plan.model_options},
        "training": plan.training | {"hold_out": 0.0 if parts.dataset.validation else HOLD_OUT},
        "search": plan.search,
        "dataset": describe(plan.dataset)
        | {
            "variant": parts.dataset.variant,
            "options": plan.dataset_options,
            "train": parts.dataset.train.name,
            "test": parts.dataset.test.name,
            "fingerprints": parts.fingerprints,
        },
        "backbone": describe(plan.backbone)
        | {
            "variant": plan.variant,
            "options": plan.backbone_options,
            "architecture": backbone.architecture,
            "weights_hash": backbone.weights_hash,
            "dimensions": backbone.dimensions,
            "preprocessing": preprocessing,
            "finetune": plan.request.finetune,
        },
        "protocol": protocol,
        "device": plan.request.device,
        "seed": plan.request.seed,
    }


def rebuild(folder: RunFolder) -> Rebuilt:
    """Return a stored run's trained model with its backbone, plan and data, as ``bench export`` needs them.

    Raises ``BenchError`` where the plugins, weights or data that made the run are no longer the same.
    """
    from bench.model import train

    request = folder.request()
    plan = make_plan(request, plugins.installed())
    parts = _open_parts(plan)
    backbone = _build_backbone(plan)
    protocol = protocols.get(request.protocol or parts.dataset.protocol)
    if canonical_json(make_config(plan, parts, backbone, protocol.name)) != canonical_json(folder.config):
        raise ModelError(
            f"{folder.path}: the code, the data set or the backbone weights are no longer those of this run."
            " Try: bench run with the same options, then export that run"
        )
    model = _build_model(plan, parts.fit, backbone)
    train.load_weights(model, folder.read_weights())
    model.eval()
    return Rebuilt(plan, parts, _tuned(folder, plan, parts, backbone), model, protocol)


def _fill(
    folder: RunFolder, plan: Plan, parts: Parts, frozen: Backbone, protocol: protocols.Protocol, *, clock: Stopwatch
) -> None:
    """Do what the folder still lacks, in order."""
    from bench.model import features as cache
    from bench.model import inspection, train

    request = plan.request
    folder.write_environment(environment() | {"fingerprint_over": data.fingerprint_over(parts.dataset.train)})
    folder.write_request(request)
    folder.write_truth(parts.dataset.test)
    if parts.dataset.test.sizes is not None:
        folder.write_sizes(parts.dataset.test.sizes)
    with clock.stage("fine-tune" if request.finetune else "features"):
        backbone = _tuned(folder, plan, parts, frozen)
    with clock.stage("features"):
        features = {split.name: _features(plan, split, parts, backbone) for split in _source_splits(parts)}
        fit, validation, test = (_rows(features, split) for split in (parts.fit, parts.validation, parts.dataset.test))
    model = _build_model(plan, parts.fit, backbone)
    options = search_options(plan, protocol)
    if folder.has("weights"):
        train.load_weights(model, folder.read_weights())
    else:
        with clock.stage("train"):
            score = _validator(plan, parts.validation, validation, protocol, options)
            record = train.fit(
                model,
                plan.training,
                fit,
                parts.fit.truth,
                score,
                name=plan.model.spec.name,
                seed=request.seed,
                checkpoint=folder.path / "checkpoint.pt",
                device=request.device,
            )
        folder.write_training(record.to_json())
        folder.write_weights(train.save_weights(model))
    with clock.stage("predict"):
        prediction = predict(plan, model, test, protocol, options)
    folder.write_scores(prediction.scores)
    folder.write_predicted(prediction.predicted)
    if prediction.label_sets is not None:
        folder.write_label_sets(prediction.label_sets)
    with clock.stage("inspect"):
        inspection.inspect(
            folder,
            parts.dataset.test,
            model,
            test,
            backbone,
            options=options if prediction.label_sets is not None else None,
            label_sets=prediction.label_sets,
        )
    with clock.stage("measure"):
        test_split = parts.dataset.test
        measures = protocols.measure(
            protocol, test_split.labels, test_split.truth, test_split.ignore, prediction.predicted, prediction.scores
        )
    folder.write_measures(measures)
    extraction = cache.speed(request.cache / "features", test.fingerprint)
    folder.write_timings(clock.to_json() | {"decoder": prediction.statistics, "feature_extraction": extraction})
    folder.finish()


def predict(
    plan: Plan, model: Any, features: Features, protocol: protocols.Protocol, options: SearchOptions
) -> Prediction:
    """Return scores and label sets for ``features``: by the protocol's top k, or by the model's own search."""
    from bench.decode.decoder import decode
    from bench.model import networks, train

    if plan.model.spec.kind == "sequence":
        terms, start_states = networks.image_terms(model, features)
        network = networks.TorchStepNetwork(model)
        decoded = decode(network, terms, start_states, features.ids, options)
        predicted = protocols.predicted_from_sequences(protocol, decoded.label_sets, decoded.class_scores)
        return Prediction(decoded.class_scores, predicted, decoded.label_sets, decoded.statistics)
    scores = Scores(features.ids, train.scores(model, features), model.score_kind)
    return Prediction(scores, protocols.predicted_top_k(scores, protocol.k), None, {})


def _validator(
    plan: Plan, split: Split, features: Features, protocol: protocols.Protocol, options: SearchOptions
) -> Callable[[Any], float]:
    """Return the score that training maximises: O-F1 on the validation part, decoded as the test part will be."""

    def validate(model: Any) -> float:
        predicted = predict(plan, model, features, protocol, options).predicted
        hits = int((predicted & split.truth).sum())
        # O-F1 = 2 TP / (predicted + true), which is the harmonic mean of O-P and O-R.
        return 2.0 * hits / max(int(predicted.sum()) + int(split.truth.sum()), 1)

    return validate


def _check_device(device: str) -> None:
    """Raise ``UsageError`` for a device torch does not know, ``NotRun`` for one this machine lacks."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise bench.UsageError(f"--device: found '{device}', allowed: cpu, cuda or cuda:N. Try: --device cpu") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise NotRun("--device cuda was asked for, and torch sees no CUDA device. Try: --device cpu")


def _tuned(folder: RunFolder, plan: Plan, parts: Parts, backbone: Backbone) -> Backbone:
    """Return the backbone as fine-tuned in this run, now or before; the frozen one where that was not asked for."""
    if not plan.request.finetune:
        return backbone
    import copy

    from bench.model import finetune, train

    if folder.has("backbone"):
        module = copy.deepcopy(backbone.module)
        train.load_weights(module, folder.read_backbone())
        return finetune.with_module(backbone, module)
    request = plan.request
    # A model of its own: the run's model is then trained on the tuned features from the start, as on frozen ones.
    head = _build_model(plan, parts.fit, backbone)
    tuned = finetune.tune(backbone, head, parts.fit, epochs=request.finetune, seed=request.seed, device=request.device)
    folder.write_backbone(train.save_weights(tuned.module))
    return tuned


def search_options(plan: Plan, protocol: protocols.Protocol) -> SearchOptions:
    """Return the search as asked for, with the protocol's lengths and class score where nothing was asked."""
    chosen: dict[str, Any] = dict(plan.search) or {}
    for name in ("min_length", "max_length"):
        if chosen.get(name, -1) == -1:
            chosen[name] = getattr(protocol, name)
    if chosen.get("class_score", "protocol") == "protocol":
        chosen["class_score"] = protocol.class_score
    return SearchOptions(**chosen)


def _build_model(plan: Plan, fit: Split, backbone: Backbone) -> Any:
    counts = tuple(int(count) for count in fit.truth.sum(axis=0))
    request = ModelRequest(plan.model_options, backbone.dimensions, fit.labels, counts, plan.request.seed)
    return plan.model.spec.build(request)


def _build_backbone(plan: Plan) -> Backbone:
    return _cached_backbone(
        plan.backbone.spec.build,
        tuple(plan.backbone_options.items()),
        plan.request.weights,
        plan.request.cache,
        plan.variant,
    )


@lru_cache(maxsize=2)
def _cached_backbone(
    build: Callable[[BackboneRequest], Backbone],
    options: tuple[tuple[str, Any], ...],
    weights: Path | None,
    cache: Path,
    variant: str,
) -> Backbone:
    return build(BackboneRequest(dict(options), weights, cache, variant))


def _open_parts(plan: Plan) -> Parts:
    request = plan.request
    return _cached_parts(
        plan.dataset.spec,
        tuple(plan.dataset_options.items()),
        request.data_root,
        (request.train_split, request.test_split),
        request.cache,
    )


@lru_cache(maxsize=2)
def _cached_parts(
    spec: bench.DatasetSpec,
    options: tuple[tuple[str, Any], ...],
    root: Path | None,
    splits: tuple[str | None, str | None],
    cache: Path,
) -> Parts:
    dataset = data.open_dataset(spec, DatasetRequest(dict(options), root, *splits, cache))
    if dataset.validation is None:
        kept, held = data.hold_out(dataset.train, HOLD_OUT, seed=0)
        fit, validation = data.subset(dataset.train, kept, "fit"), data.subset(dataset.train, held, "validation")
    else:
        fit, validation = dataset.train, dataset.validation
    parts = {"train": dataset.train, "validation": validation, "test": dataset.test}
    return Parts(dataset, fit, validation, {part: data.fingerprint(split) for part, split in parts.items()})


def _source_splits(parts: Parts) -> list[Split]:
    """Return the splits whose features are extracted: a held-out part's features are rows of train's."""
    own_validation = [parts.dataset.validation] if parts.dataset.validation else []
    return [parts.dataset.train, *own_validation, parts.dataset.test]


def _features(plan: Plan, split: Split, parts: Parts, backbone: Backbone) -> Features:
    from bench.model import features

    return features.extract(
        split, data.fingerprint(split), backbone, plan.request.cache / "features", device=plan.request.device
    )


def _rows(features: dict[str, Features], split: Split) -> Features:
    """Return the rows of ``split``'s images, from its own features or from the split it was held out of."""
    if split.name in features:
        return features[split.name]
    source = next(iter(features.values()))
    position = {image: row for row, image in enumerate(source.ids)}
    rows = np.array([position[image] for image in split.ids])
    return Features(split.ids, np.ascontiguousarray(source.values[rows]), source.fingerprint)
