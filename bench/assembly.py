"""From a plan to the parts of a run: data set opened, backbone and model built."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.code import host_code, option_files, patches, patches_code, plugin_code
from bench.contracts import (
    KNOWN_SHARE,
    MAP_OPTION,
    Backbone,
    BackboneRequest,
    BackboneSpec,
    DatasetRequest,
    DatasetSpec,
    ModelRequest,
    Protocol,
    Validation,
)
from bench.contracts.training_options import MAIN_METRIC, OF_LABEL_SETS
from bench.data.copies import one_picture, refuse_test_images, several_label_sets, trained_on
from bench.data.fingerprint import fingerprint, refuse_choosing_on_test
from bench.data.open import open_dataset
from bench.data.splits import hold_out, subset, to_train_on, with_validation
from bench.errors import NotRun, PluginError, UsageError
from bench.evaluation import known_tags, policies, protocols
from bench.evaluation.measure import measure
from bench.evaluation.policies import Policy
from bench.guard import calling, is_first_party
from bench.model.checks import check_backbone, check_is_trained, check_model
from bench.options import OptionValue, given
from bench.plan import Plan, options_of, replan
from bench.plugins import Found
from bench.records import BoolArray, Features, Ledger, Measures, Parts, Prediction, RunRequest, SearchOptions, Split
from bench.system.files import canonical_json, digest, sha256_of
from bench.uncounted import uncounted

if TYPE_CHECKING:
    from bench.model.checkpoint import CheckpointFile, TuningState
    from bench.model.group import Group
    from bench.model.train import TrainingRecord

TOLD = 4
"""Most changed values that an error names."""

HOLD_OUT = 0.1
"""Part of train on which learning rate and stopping are chosen, where a data set has no validation split."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """Everything that a run is made of, before anything is computed. ``backbone`` is as its plugin built it.

    ``ledger`` are the trials that its options were chosen by, ``None``: they were not.
    """

    plan: Plan
    parts: Parts
    backbone: Backbone
    protocol: Protocol
    ledger: Ledger | None = None

    @property
    def refit(self) -> bool:
        """Return whether the run is trained on the validation part too, on which nothing may then be judged."""
        return self.ledger is not None and self.ledger.refit

    @property
    def schedule(self) -> tuple[float, ...]:
        """Return the learning rate of each epoch where the chosen trial fixed them; empty: validation decides."""
        return self.ledger.best.rates if self.ledger is not None and self.ledger.refit else ()

    @property
    def sequence(self) -> bool:
        """Return whether the model emits label sequences."""
        return self.plan.model.spec.kind == "sequence"

    @property
    def search(self) -> SearchOptions | None:
        """Return the search as asked for, else with the protocol's lengths and class score; ``None``: no sequences."""
        return SearchOptions(**protocols.searched(self.protocol, self.plan.search)) if self.sequence else None

    @property
    def policy(self) -> Policy:
        """Return how scores or sequences become label sets: as ``--policy`` asks, or else the protocol."""
        plan = self.plan
        return policies.chosen(plan.request.policy, plan.policy, self.protocol, plan.model.spec.kind, plan.search)

    @property
    def select_by(self) -> str:
        """Return the metric that chooses learning rate and stopping; of no use to a model without gradient training."""
        return self._telling(str(self.plan.training.get("select_by", MAIN_METRIC)))

    @property
    def judged_by(self) -> str:
        """Return the metric that trials are judged by: the same for all models, unless another was asked for."""
        option, asked = options_of(self.plan.model.spec).get("select_by"), self.plan.training.get("select_by")
        metric = MAIN_METRIC if asked is None or (option and asked == option.default) else str(asked)
        return metric if self.policy.fitted and metric in OF_LABEL_SETS else self._telling(metric)

    def _telling(self, metric: str) -> str:
        return policies.telling(metric, self.protocol, self.plan.model.spec.kind, len(self.parts.fit.labels))

    @property
    def judged_by_policy(self) -> bool:
        """Return whether trials are judged by the label sets of a policy that is fitted, not by the protocol's."""
        return self.policy.fitted and self.judged_by in OF_LABEL_SETS

    @property
    def known(self) -> BoolArray | None:
        """Return the test images' labels that the model is told, (images, labels) bool; ``None``: it is told none."""
        return self.known_of(self.parts.test)

    def known_of(self, split: Split) -> BoolArray | None:
        """Return the labels of the images of ``split`` that the model is told."""
        return known_tags.draw(split.truth, self.known_share) if self.plan.model.spec.known_tags else None

    @property
    def known_share(self) -> float:
        """Return the share of each image's labels that the model is told; 0 where it declares no known tags."""
        return float(self.plan.training.get(KNOWN_SHARE.name, 0.0))

    @property
    def to_train_on(self) -> tuple[BoolArray, BoolArray | None]:
        """Return truth and ignore mask of the training part as training sees them, by its option ``ignored``."""
        return to_train_on(self.parts.fit, str(self.plan.training["ignored"]))

    def validation_part(self, features: Features) -> Validation:
        """Return what training may know of the validation part, whose images have ``features``."""
        from bench.model.predict import validation_part

        split = self.parts.validation
        return validation_part(split, features, self.protocol, self.search, self.select_by, self.known_of(split))

    def fine_tune(
        self,
        model: Any,
        device: str,
        checkpoint: CheckpointFile[TuningState] | None = None,
        group: Group | None = None,
    ) -> Backbone:
        """Return the backbone as trained end to end with ``model``, which is trained in place.

        With ``checkpoint`` it goes on from there; with ``group``, its processes share each batch. Raises
        ``ModelError`` where the loss is not finite.
        """
        from bench.model import finetune

        name = self.plan.backbone.spec.name
        if not any(True for _ in self.backbone.module.parameters()):
            raise UsageError(f"--finetune {self.plan.finetune}: backbone '{name}' has no weights. Try: --finetune 0")
        settings = finetune.Settings.from_options(self.plan.finetuning)
        tuned = finetune.tune(
            self.backbone,
            model,
            self.parts.fit,
            *self.to_train_on,
            epochs=self.plan.finetune,
            seed=self.plan.request.seed,
            device=device,
            settings=settings,
            judge=finetune.judged_by(
                self.parts.validation,
                self.backbone,
                self.validation_part,
                device,
                batch_size=settings.batch_size,
                group=group,
            ),
            checkpoint=checkpoint,
            group=group,
        )
        if _weights_of(tuned) == _weights_of(self.backbone):
            raise PluginError(
                f"fine-tuning changed no weight of backbone '{name}': does its forward stop gradients, as no_grad and"
                " detach do? Try: --finetune 0"
            )
        return tuned

    def train(
        self, model: Any, fit: Features, held_out: Validation | None, device: str, checkpoint: Path | None = None
    ) -> TrainingRecord:
        """Train ``model`` in place on features ``fit``, judged on ``held_out`` if that is given; return how it went."""
        from bench.model import train
        from bench.model.start_checks import unchanged

        plan, (truth, ignore) = self.plan, self.to_train_on
        with unchanged(model, fit, truth, ignore, held_out) as (seen, judged_on):
            return train.fit(
                model,
                plan.training,
                seen,
                truth,
                held_out.score if held_out else train.unjudged,
                name=plan.model.spec.name,
                seed=plan.request.seed,
                ignore=ignore,
                validation=judged_on,
                checkpoint=checkpoint,
                device=device,
                schedule=self.schedule,
            )

    def measure(self, prediction: Prediction) -> Measures:
        """Return every metric of what was predicted for the test part."""
        test = self.parts.test
        return measure(
            self.protocol,
            test.labels,
            test.truth,
            test.ignore,
            prediction.predicted,
            prediction.scores,
            sequences=prediction.label_sets,
            known=self.known,
        )

    def model_request(self, backbone: Backbone) -> ModelRequest:
        """Return what the model is built from on the features of ``backbone``, which may have been fine-tuned."""
        fit, plan = self.parts.fit, self.plan
        truth, _ = self.to_train_on
        counts = tuple(int(count) for count in truth.sum(axis=0))
        return ModelRequest(
            plan.model_options, backbone.dimensions, fit.labels, counts, plan.request.seed, backbone.feature_map
        )

    def build_model(self, backbone: Backbone, request: ModelRequest | None = None) -> Any:
        """Return the untrained model of ``request``, or of a new one, on the features of ``backbone``."""
        plan, request = self.plan, request or self.model_request(backbone)
        from bench.model.arrays import ArrayModule, as_module

        with plan.calling("model", "build model", seed=plan.request.seed):
            model = as_module(plan.model.spec.build(request))
            check_model(model, plan.model.spec.kind, known_tags=plan.model.spec.known_tags)
            if isinstance(model, ArrayModule) and plan.model.spec.training is not None:
                raise PluginError("a model of arrays has no gradient training. Try: training=None in its ModelSpec")
            check_is_trained(model, plan.model.spec.training is not None)
        return model


def open_parts(plan: Plan) -> Parts:
    """Return the images of a run, their fingerprints computed; the last two data sets stay open till ``open_anew``."""
    return parts_of(plan.dataset, plan.dataset_options, plan.request)


def parts_of(found: Found[DatasetSpec], options: Mapping[str, OptionValue], request: RunRequest) -> Parts:
    """Return the images of a data set with resolved ``options``, from where ``request`` says that they lie."""
    splits = (request.train_split, request.test_split)
    return _cached_parts(found, tuple(options.items()), request.data_root, splits, request.cache)


def open_anew() -> None:
    """Have the next run open its data set again: what a script asks for next is of the files as they are then."""
    _cached_parts.cache_clear()


def build_backbone(plan: Plan) -> Backbone:
    """Return the backbone as its plugin builds it, with the engine of its features; the last two stay built."""
    from bench.model.engine import choose

    request = plan.request
    options = tuple(plan.backbone_options.items())
    written = _written(request.weights, option_files(plan.backbone, plan.backbone_options).values())
    built = _cached_backbone(plan.backbone, options, request.weights, request.cache, plan.variant, written)
    return choose(built, request.engine, request.device, request.cache / "features", tuned=plan.finetune > 0)


def make_backbone(found: Found[BackboneSpec], request: BackboneRequest) -> Backbone:
    """Return the backbone that the plugin builds of ``request``, looked at. Raises ``BenchError`` naming the plugin."""
    maps = request.options.get(MAP_OPTION.name) == "map"
    with calling(found.origin, "build backbone", f"backbone '{found.spec.name}'", seed=0):
        backbone = found.spec.build(request)
        check_backbone(backbone, maps=maps)
    unread = given(request.options).unread(found.spec.options, f"backbone '{found.spec.name}'")
    unread += uncounted(found, "backbone", backbone.module.modules())
    return replace(backbone, notes=(*backbone.notes, *unread))


def _written(weights: Path | None, named: Iterable[Path]) -> tuple[tuple[str, int, int, int], ...]:
    """Return names, times and sizes of weights, JSON beside them, and ``named`` files: what is written anew is read."""
    paths = sorted(named)
    if weights is not None:
        paths += sorted(weights.iterdir() if weights.is_dir() else [weights, *weights.parent.glob("*.json")])
    found = [(path.name, path.stat()) for path in paths if path.is_file()]
    return tuple((name, status.st_mtime_ns, status.st_ctime_ns, status.st_size) for name, status in found)


def choose_protocol(plan: Plan, parts: Parts) -> Protocol:
    """Return the protocol asked for, or the data set's. Raises ``UsageError`` where it does not fit the labels."""
    return protocol_of(plan.request, parts)


def protocol_of(request: RunRequest, parts: Parts) -> Protocol:
    """Return the protocol that ``request`` names, or the data set's, as ``choose_protocol``."""
    protocol = protocols.get(request.protocol or parts.dataset.protocol)
    protocols.check(protocol, parts.dataset.labels)
    return protocol


def after_trials(assembly: Assembly, ledger: Ledger) -> Assembly:
    """Return ``assembly`` with what its trials chose: options, and on train and validation, epochs and their rates."""
    parts = with_validation(assembly.parts) if ledger.refit else assembly.parts
    return replace(assembly, plan=replan(assembly.plan, ledger.best.options), parts=parts, ledger=ledger)


def check_device(device: str) -> None:
    """Raise ``UsageError`` for what is neither the CPU nor a GPU, ``NotRun`` for one this machine lacks."""
    import torch

    # torch knows more, as cpu:0, which is the same device under another key, and meta, which computes nothing.
    if device != "cpu" and not re.fullmatch("cuda(:(0|[1-9][0-9]*))?", device):
        raise UsageError(f"--device: found '{device}', allowed: cpu, cuda or cuda:N. Try: --device cpu")
    if device != "cpu" and not torch.cuda.is_available():
        raise NotRun("--device cuda was asked for, and torch sees no CUDA device. Try: --device cpu")


@lru_cache(maxsize=2)
def _cached_backbone(
    found: Found[BackboneSpec],
    options: tuple[tuple[str, Any], ...],
    weights: Path | None,
    cache: Path,
    variant: str,
    _: tuple[tuple[str, int, int, int], ...],
) -> Backbone:
    built = make_backbone(found, BackboneRequest(dict(options), weights, cache, variant))
    own = plugin_code(found, dict(options)) + patches_code(patches())
    code = " ".join([host_code()["features"], own, *_libraries_of(built)])
    if is_first_party(found.origin):
        return replace(built, code=code)
    # Cached features are found by these: whether what a third party says of its network tells two apart, nobody knows.
    hashed = digest(built.weights_hash, *_weights_of(built), *_contents(weights))
    return replace(built, code=f"{code} {canonical_json([variant, dict(options)])}", weights_hash=hashed)


def _libraries_of(backbone: Backbone) -> list[str]:
    """Return the versions of libraries whose classes the network is of, as timm's: another one may compute otherwise.

    Not torch's: what it is said to compute stays, to rounding.
    """
    tops = {type(module).__module__.partition(".")[0] for module in backbone.module.modules()} - {"torch"}
    versions = {top: getattr(sys.modules.get(top), "__version__", "") for top in tops}
    return sorted(f"{top} {version}" for top, version in versions.items() if version)


def _contents(weights: Path | None) -> list[str]:
    """Return hashes of the files in ``weights``: a network may keep what torch knows no parameter of."""
    paths = [] if weights is None else sorted(weights.iterdir()) if weights.is_dir() else [weights]
    return [sha256_of(path) for path in paths if path.is_file()]


def _weights_of(backbone: Backbone) -> list[str]:
    """Return the names of the network's parameters and buffers, each with a hash of its values."""
    import torch

    tensors = sorted(backbone.module.state_dict().items())
    values = [tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy() for _, tensor in tensors]
    return [f"{name} {digest(array.tobytes())}" for (name, _), array in zip(tensors, values, strict=True)]


@lru_cache(maxsize=2)
def _cached_parts(
    found: Found[DatasetSpec],
    options: tuple[tuple[str, Any], ...],
    root: Path | None,
    splits: tuple[str | None, str | None],
    cache: Path,
) -> Parts:
    request = DatasetRequest(dict(options), root, *splits, cache)
    made_by = ""
    if not is_first_party(found.origin):  # whether what a third party hashes tells two pictures apart, nobody knows
        with calling(found.origin, "code", f"data set '{found.spec.name}'"):
            made_by = digest(plugin_code(found), canonical_json(dict(options)))
    dataset = open_dataset(found.spec, request, found.origin, made_by)
    if dataset.validation is None:
        kept, held = hold_out(dataset.train, HOLD_OUT, seed=0)
        fit, validation = (
            subset(dataset.train, rows, name, cache) for rows, name in ((kept, "fit"), (held, "validation"))
        )
    else:
        fit, validation = dataset.train, dataset.validation
    parts = {"train": dataset.train, "validation": validation, "test": dataset.test}
    with calling(found.origin, "fingerprint", f"data set '{found.spec.name}'"):
        fingerprints = {part: fingerprint(split) for part, split in parts.items()}
        refuse_choosing_on_test(dataset.name, fingerprints)
        if dataset.validation is not None:
            refuse_test_images(dataset.name, validation, dataset.test)
    unread = given(request.options).unread(found.spec.options, f"data set '{found.spec.name}'")
    unread += uncounted(found, "data set", [getattr(dataset.test.images, "images", None)])
    odd = [note for part in (dataset.train, dataset.test) for note in one_picture(part) or several_label_sets(part)]
    odd += trained_on(dataset.train, dataset.test)
    dataset = replace(dataset, notes=(*dataset.notes, *unread, *odd))
    return Parts(dataset, fit, validation, fingerprints)
