"""From what a user typed to what will be run: names looked up, every option resolved and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.contracts import (
    FINETUNING_OPTIONS,
    FITTING_OPTIONS,
    HOST_DECODER,
    KNOWN_SHARE,
    MAP_OPTION,
    SEARCH_OPTIONS,
    TRAINING_OPTIONS,
    BackboneSpec,
    DatasetSpec,
    Dimension,
    LabelSetPolicy,
    ModelSpec,
    SequenceSearch,
)
from bench.errors import UsageError, unknown
from bench.guard import calling
from bench.options import Option, OptionValue, parse_assignments, resolve
from bench.plugins import DATASETS, Found, Registry
from bench.records import RunRequest

LONGEST_NAME = 60
"""Letters of a name that a data set is given."""

LARGEST_SEED, MOST_TRIALS = 2**32 - 1, 10_000
"""What every generator takes as a seed, scikit-learn's among them; and points that are drawn of a search space."""

NOT_CHOSEN = ("select_by", KNOWN_SHARE.name, "decoder")
"""Options that say what is measured, where trials that differ do not compare, and what a plugin's code is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request whose names exist and whose options are complete.

    ``given`` are the options that were typed, by owner: model (with its training and search), dataset, backbone,
    finetune. ``finetuning`` are those of fine-tuning, empty where the backbone stays frozen.
    ``policy`` and ``decoder`` are a plugin's, ``None`` for one of the host's own.
    """

    request: RunRequest
    model: Found[ModelSpec]
    dataset: Found[DatasetSpec]
    backbone: Found[BackboneSpec]
    variant: str
    model_options: dict[str, OptionValue]
    training: dict[str, OptionValue]
    search: dict[str, OptionValue]
    dataset_options: dict[str, OptionValue]
    backbone_options: dict[str, OptionValue]
    finetuning: dict[str, OptionValue]
    given: Mapping[str, Mapping[str, str]]
    policy: Found[LabelSetPolicy] | None = None
    decoder: Found[SequenceSearch] | None = None

    @property
    def deterministic(self) -> bool:
        """Return whether every seed gives the same run: the model says so, and no backbone is tuned."""
        return self.model.spec.deterministic and not self.finetune

    @property
    def finetune(self) -> int:
        """Return the epochs of fine-tuning: those asked for, or the model's own."""
        return _epochs(self.request, self.model.spec)

    def calling(
        self, part: Literal["model", "dataset", "backbone"], stage: str, *, seed: int | None = None
    ) -> AbstractContextManager[None]:
        """Call into the plugin of this ``part`` in the body, as ``bench.guard.calling`` does."""
        found: Found[Any] = getattr(self, part)
        kind = "data set" if part == "dataset" else part
        return calling(found.origin, stage, f"{kind} '{found.spec.name}'", seed=seed)


def _epochs(request: RunRequest, spec: ModelSpec) -> int:
    return spec.finetune if request.finetune is None else request.finetune


def make_plan(request: RunRequest, registry: Registry) -> Plan:
    """Return the plan for ``request``; raises ``UsageError`` for any unknown name, option or value.

    ``--set dataset.x=``, ``backbone.x=`` and ``finetune.x=`` go to those; a bare name to the model, its training or its
    search.
    """
    _check_numbers(request)
    model = registry.model(request.model)
    dataset = registry.dataset(request.dataset)
    check_name(request.name, dataset, registry)
    own = model.spec.backbone.replace("{}", dataset.spec.backbone)
    backbone, variant = registry.backbone(request.backbone or own or dataset.spec.backbone)
    given = _by_owner(parse_assignments(request.sets))
    tables = {
        "model": model.spec.options,
        "training": training_options(model.spec),
        "search": search_options(model.spec),
    }
    others = {"dataset": dataset.spec.options, "backbone": backbone.spec.options, "finetune": FINETUNING_OPTIONS}
    _refuse_unknown(model.spec.name, given["model"], tables, others)

    def of(part: str) -> dict[str, OptionValue]:
        names = {option.name for option in tables[part]}
        chosen = {name: value for name, value in given["model"].items() if name in names}
        return resolve(tables[part], chosen, f"model '{model.spec.name}'")

    chosen_search = of("search")
    plan = Plan(
        request=request,
        model=model,
        dataset=dataset,
        backbone=backbone,
        variant=variant,
        model_options=of("model"),
        training=of("training"),
        search=chosen_search,
        dataset_options=resolve(dataset.spec.options, given["dataset"], f"dataset '{dataset.spec.name}'", "dataset."),
        backbone_options=_backbone_options(model.spec, backbone.spec, given["backbone"]),
        finetuning=_finetuning(request, model.spec, given["finetune"]),
        given=given,
        policy=registry.policy(request.policy, model.spec.kind),
        decoder=registry.decoder(str(chosen_search.get("decoder", HOST_DECODER))),
    )
    if request.trials is not None:
        if plan.finetune:
            raise UsageError(
                f"--trials {request.trials} with {plan.finetune} epochs of fine-tuning, model '{request.model}': each"
                " trial would train the backbone. Try: without --trials, or --finetune 0"
            )
        check_space(model.spec)
    return plan


def _refuse_unknown(
    model: str,
    given: Mapping[str, str],
    tables: Mapping[str, Iterable[Option]],
    others: Mapping[str, Iterable[Option]],
) -> None:
    """Raise ``UsageError`` for an option of none of the model's ``tables``; one of ``others`` is told whose it is."""
    known = [option.name for table in tables.values() for option in table]
    for name in given:
        if name not in known:
            hint = _whose(name, given[name], others) or "See: bench list models --options"
            if name in {option.name for option in TRAINING_OPTIONS}:  # of a backbone's own training it would be another
                hint = "It is fitted at once, without options of training. Try: without it"
            raise unknown(f"option of model '{model}'", name, known, hint)


def _whose(name: str, value: str, others: Mapping[str, Iterable[Option]]) -> str:
    """Return how an option is set that the model has not and another part of the run has, empty where none has."""
    owners = [owner for owner, options in others.items() if name in {option.name for option in options}]
    return "Try: " + " or ".join(f"--set {owner}.{name}={value}" for owner in owners) if owners else ""


def check_name(name: str, dataset: Found[DatasetSpec], registry: Registry) -> None:
    """Raise ``UsageError`` for a data set's given name that cannot be shown or is another data set's."""
    if not name:
        return
    if name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME or "/" in name:
        allowed = f"up to {LONGEST_NAME} letters, no '/'"
        raise UsageError(f"--name: found {name!a}, allowed: {allowed}. Try: --name posters")
    if name in registry.all(DATASETS) and name != dataset.spec.name:
        raise UsageError(f"--name: '{name}' is another data set, which tables would take it for. Try: --name my-{name}")


def _check_numbers(request: RunRequest) -> None:
    """Raise ``UsageError`` for a seed that no generator takes and a budget that no choice can be made within."""
    if not 0 <= request.seed <= LARGEST_SEED:
        raise UsageError(f"--seed: found {request.seed}, allowed: 0 to {LARGEST_SEED}. Try: --seed 0")
    if request.trials is not None and not 1 <= request.trials <= MOST_TRIALS:
        raise UsageError(
            f"--trials: found {request.trials}, allowed: whole numbers from 1 to {MOST_TRIALS}."
            " Try: --trials 16, or without it, which takes the defaults"
        )


def check_space(spec: ModelSpec) -> None:
    """Raise ``UsageError`` for a search space of what is no option, stands twice, or is what trials are judged by."""
    known, names = options_of(spec), [dimension.name for dimension in spec.space]
    for name in names:
        if name not in known:
            raise unknown(f"option in the search space of model '{spec.name}'", name, known)
        if name in NOT_CHOSEN or names.count(name) > 1:
            why = "cannot be chosen" if name in NOT_CHOSEN else "stands twice"
            raise UsageError(f"search space of model '{spec.name}': option '{name}' {why}")


def options_of(spec: ModelSpec) -> dict[str, Option]:
    """Return the options of a model, its training and its search by name; of two of one name, the model's."""
    return {option.name: option for option in (*search_options(spec), *training_options(spec), *spec.options)}


def replan(plan: Plan, chosen: Mapping[str, OptionValue]) -> Plan:
    """Return ``plan`` with other values of the model's, its training's and its search's options."""

    def of(values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        return {name: chosen.get(name, value) for name, value in values.items()}

    return replace(plan, model_options=of(plan.model_options), training=of(plan.training), search=of(plan.search))


def searched(plan: Plan) -> tuple[Dimension, ...]:
    """Return what trials choose: the model's search space without the options that were typed."""
    return tuple(one for one in plan.model.spec.space if one.name not in plan.given["model"])


def _backbone_options(model: ModelSpec, backbone: BackboneSpec, given: Mapping[str, str]) -> dict[str, OptionValue]:
    """Return the backbone's options, maps or vectors as the model takes them, or raise ``UsageError``."""
    options, wanted = dict(given), "map" if model.feature_maps else "vector"
    if model.feature_maps and MAP_OPTION.name not in {option.name for option in backbone.options}:
        raise UsageError(
            f"model '{model.name}' takes feature maps, backbone '{backbone.name}' gives none."
            " Try: --backbone timm/resnet18"
        )
    if MAP_OPTION.name in {option.name for option in backbone.options}:
        found = options.setdefault(MAP_OPTION.name, wanted)
        if found in MAP_OPTION.choices and found != wanted:
            raise UsageError(
                f"--set backbone.features={found}: model '{model.name}' takes a {wanted}. Try: without it, the model is"
                " given what it takes"
            )
    return resolve(backbone.options, options, f"backbone '{backbone.name}'", "backbone.")


def _finetuning(request: RunRequest, model: ModelSpec, given: Mapping[str, str]) -> dict[str, OptionValue]:
    """Return the options of fine-tuning, none of a frozen backbone, or raise ``UsageError``."""
    options = resolve(FINETUNING_OPTIONS, given, "fine-tuning", "finetune.")
    if not _epochs(request, model):
        if given:
            name, value = next(iter(given.items()))
            raise UsageError(
                f"--set finetune.{name}={value}: the backbone of model '{model.name}' stays frozen."
                " Try: also --finetune 5"
            )
        return {}
    if options["precision"] != "fp32" and not request.device.startswith("cuda"):
        raise UsageError(
            f"--set finetune.precision={options['precision']}: found --device {request.device}, allowed: a GPU, as half"
            " precision is no faster on a CPU. Try: --device cuda, or without it"
        )
    return options


def _by_owner(assigned: Mapping[str, str]) -> dict[str, dict[str, str]]:
    owners: dict[str, dict[str, str]] = {"model": {}, "dataset": {}, "backbone": {}, "finetune": {}}
    for name, value in assigned.items():
        owner, dot, rest = name.rpartition(".")
        if dot and owner not in owners:
            raise UsageError(f"--set: found '{name}', allowed: NAME, dataset.NAME, backbone.NAME or finetune.NAME")
        owners[owner or "model"][rest] = value
    return owners


def training_options(spec: ModelSpec) -> tuple[Option, ...]:
    """Return the options of ``spec``'s training with its own defaults: few where it has a fit of its own."""
    known = (KNOWN_SHARE,) if spec.known_tags else ()
    if spec.training is None:
        return (*FITTING_OPTIONS, *known)
    own = tuple(
        Option(o.name, o.check(spec.training.get(o.name, o.default)), o.help, o.choices, o.minimum, o.maximum)
        for o in TRAINING_OPTIONS
    )
    return (*own, *known)


def search_options(spec: ModelSpec) -> tuple[Option, ...]:
    """Return the options of ``spec``'s search with its own defaults; of a model that gives no sequences there are none.

    Raises ``UsageError`` for a default of a search option that there is not, or for a value that it does not take.
    """
    if spec.kind != "sequence":
        return ()
    known = [option.name for option in SEARCH_OPTIONS]
    for name in spec.searching:
        if name not in known:
            raise unknown(f"search option in model '{spec.name}'", name, known)
    return tuple(
        Option(o.name, o.check(spec.searching.get(o.name, o.default)), o.help, o.choices, o.minimum, o.maximum)
        for o in SEARCH_OPTIONS
    )


def describe(found: Found[Any]) -> dict[str, str]:
    """Return where a plugin's part comes from, as stored in a run's config."""
    return {
        "name": found.spec.name,
        "distribution": found.origin.distribution,
        "version": found.origin.version,
    }


def whole_name(typed: str, described: Mapping[str, Any]) -> str:
    """Return a run's ``typed`` name with the distribution that its config names: another may claim the name since.

    >>> whole_name("timm/resnet18", {"name": "timm", "distribution": "bench-nets", "variant": "resnet18"})
    'bench-nets:timm/resnet18'
    """
    return f"{described['distribution']}:{typed}" if typed.partition("/")[0] == described["name"] else typed
