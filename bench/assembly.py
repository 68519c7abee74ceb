"""From a plan to the parts of a run: data set opened, backbone and model built, config written down."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import bench
from bench import plugins
from bench.contracts import Backbone, BackboneRequest, DatasetRequest, DatasetSpec, ModelRequest
from bench.data.fingerprint import fingerprint
from bench.data.open import open_dataset
from bench.data.splits import hold_out, subset
from bench.errors import ModelError, NotRun, UsageError
from bench.evaluation import protocols
from bench.origins import origins_of
from bench.plan import Plan, describe, make_plan
from bench.records import Parts, RunRequest, SearchOptions
from bench.store.run_folder import RunFolder
from bench.store.stored import About
from bench.system.files import canonical_json

HOLD_OUT = 0.1
"""Part of train on which learning rate and stopping are chosen, where a data set has no validation split."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """Everything that a run is made of, before anything is computed. ``backbone`` is as its plugin built it."""

    plan: Plan
    parts: Parts
    backbone: Backbone
    protocol: protocols.Protocol

    @property
    def sequence(self) -> bool:
        """Return whether the model emits label sequences."""
        return self.plan.model.spec.kind == "sequence"

    @property
    def search(self) -> SearchOptions | None:
        """Return the search as asked for, with the protocol's lengths and class score where nothing was asked.

        ``None`` for a model that emits no label sequences.
        """
        return SearchOptions(**protocols.searched(self.protocol, self.plan.search)) if self.sequence else None

    def build_model(self, backbone: Backbone) -> Any:
        """Return the untrained model on the features of ``backbone``, which may have been fine-tuned."""
        fit, plan = self.parts.fit, self.plan
        counts = tuple(int(count) for count in fit.truth.sum(axis=0))
        request = ModelRequest(plan.model_options, backbone.dimensions, fit.labels, counts, plan.request.seed)
        return plan.model.spec.build(request)


def open_parts(plan: Plan) -> Parts:
    """Return the images of a run, their fingerprints computed; the last two data sets stay open."""
    request = plan.request
    splits = (request.train_split, request.test_split)
    options = tuple(plan.dataset_options.items())
    return _cached_parts(plan.dataset.spec, options, request.data_root, splits, request.cache)


def build_backbone(plan: Plan) -> Backbone:
    """Return the backbone as its plugin builds it; the last two stay built."""
    request = plan.request
    options = tuple(plan.backbone_options.items())
    written = _written(request.weights)
    return _cached_backbone(plan.backbone.spec.build, options, request.weights, request.cache, plan.variant, written)


def _written(weights: Path | None) -> tuple[tuple[str, int, int], ...]:
    """Return names, times and sizes of the weights' files, so that one written anew is read anew."""
    paths = sorted(weights.iterdir()) if weights and weights.is_dir() else [weights] if weights else []
    return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.is_file())


def choose_protocol(plan: Plan, parts: Parts) -> protocols.Protocol:
    """Return the protocol asked for, or the data set's. Raises ``UsageError`` where it does not fit the labels."""
    protocol = protocols.get(plan.request.protocol or parts.dataset.protocol)
    protocols.check(protocol, parts.dataset.labels)
    return protocol


def make_config(assembly: Assembly) -> dict[str, Any]:
    """Return everything that shapes the result, as JSON; its hash is the run's key.

    No path is in it, and no text that is only shown.
    """
    plan, parts, backbone = assembly.plan, assembly.parts, assembly.backbone
    preprocessing = {name: getattr(backbone.preprocessing, name) for name in backbone.preprocessing.__slots__}
    return {
        "bench": bench.__version__,
        "model": describe(plan.model) | {"kind": plan.model.spec.kind, "options": plan.model_options},
        "training": plan.training | {"hold_out": 0.0 if parts.dataset.validation else HOLD_OUT},
        "search": plan.search,
        "dataset": describe(plan.dataset)
        | {
            "options": plan.dataset_options,
            "train": parts.train.name,
            "test": parts.test.name,
            "fingerprints": dict(parts.fingerprints),
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
        "protocol": assembly.protocol.name,
        "device": plan.request.device,
        "seed": plan.request.seed,
    }


def about(assembly: Assembly) -> About:
    """Return what readers call the parts of the run, where its values came from, what data set and backbone note."""
    plan, dataset, backbone = assembly.plan, assembly.parts.dataset, assembly.backbone
    origins = origins_of(plan, assembly.parts, assembly.protocol.name, backbone.preprocessing_origins)
    return About(plan.model.spec.row, dataset.variant, origins, (*dataset.notes, *backbone.notes))


def with_weights(backbone: Backbone, content: bytes) -> Backbone:
    """Return a copy of ``backbone`` with the weights in a safetensors file's ``content``, as fine-tuning left them."""
    from bench.model import finetune, train

    module = copy.deepcopy(backbone.module)
    train.load_weights(module, content)
    return finetune.with_module(backbone, module)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A stored run brought back to life: its trained model, and the backbone as fine-tuned in that run."""

    assembly: Assembly
    backbone: Backbone
    model: Any


def rebuild(folder: RunFolder, data_root: Path | None = None, weights: Path | None = None) -> Rebuilt:
    """Return a stored run's trained model with its backbone and data, as ``bench export`` needs them.

    ``data_root`` and ``weights`` say where they lie now, if not where they were. Raises ``BenchError`` where the
    plugins, weights or data that made the run are no longer the same.
    """
    from bench.model import train

    plan = make_plan(_found_again(folder, data_root, weights), plugins.installed())
    parts = open_parts(plan)
    assembly = Assembly(plan, parts, build_backbone(plan), choose_protocol(plan, parts))
    if canonical_json(make_config(assembly)) != canonical_json(folder.config):
        raise ModelError(
            f"{folder.path}: the code, the data set or the backbone weights are no longer those of this run."
            " Try: bench run with the same options, then export that run"
        )
    tuned = plan.request.finetune > 0
    backbone = with_weights(assembly.backbone, folder.read_backbone()) if tuned else assembly.backbone
    model = assembly.build_model(backbone)
    train.load_weights(model, folder.read_weights())
    model.eval()
    return Rebuilt(assembly, backbone, model)


def _found_again(folder: RunFolder, data_root: Path | None, weights: Path | None) -> RunRequest:
    """Return a stored run's request with the paths given; raise ``ModelError`` for a stored one that is gone."""
    stored = folder.request()
    request = replace(stored, data_root=data_root or stored.data_root, weights=weights or stored.weights)
    for path, option in ((request.data_root, "--data-root DIR"), (request.weights, "--weights FILE")):
        if path is not None and not path.exists():
            raise ModelError(f"{folder.path}: {path} is not there, which the run was made from. Try: {option}")
    return request


def check_device(device: str) -> None:
    """Raise ``UsageError`` for a device torch does not know, ``NotRun`` for one this machine lacks."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UsageError(f"--device: found '{device}', allowed: cpu, cuda or cuda:N. Try: --device cpu") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise NotRun("--device cuda was asked for, and torch sees no CUDA device. Try: --device cpu")


@lru_cache(maxsize=2)
def _cached_backbone(
    build: Callable[[BackboneRequest], Backbone],
    options: tuple[tuple[str, Any], ...],
    weights: Path | None,
    cache: Path,
    variant: str,
    _: tuple[tuple[str, int, int], ...],
) -> Backbone:
    return build(BackboneRequest(dict(options), weights, cache, variant))


@lru_cache(maxsize=2)
def _cached_parts(
    spec: DatasetSpec,
    options: tuple[tuple[str, Any], ...],
    root: Path | None,
    splits: tuple[str | None, str | None],
    cache: Path,
) -> Parts:
    dataset = open_dataset(spec, DatasetRequest(dict(options), root, *splits, cache))
    if dataset.validation is None:
        kept, held = hold_out(dataset.train, HOLD_OUT, seed=0)
        fit, validation = subset(dataset.train, kept, "fit"), subset(dataset.train, held, "validation")
    else:
        fit, validation = dataset.train, dataset.validation
    parts = {"train": dataset.train, "validation": validation, "test": dataset.test}
    return Parts(dataset, fit, validation, {part: fingerprint(split) for part, split in parts.items()})
