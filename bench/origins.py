"""Where each value of a run's config came from: typed, somebody's default, or computed.

Options are named as the command line names them, however the run was asked for. The names are those of the leaves that
``bench.run_config.make_config`` writes, dotted, as in ``model.options.cell``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from bench.contracts import MAP_OPTION, LabelSetPolicy, left_to_protocol
from bench.plan import Plan
from bench.plugins import Found
from bench.records import Ledger, Parts, Preprocessing, RunRequest

HOST_PARTS = {
    "features": "reads images and computes features",
    "training": "trains and selects",
    "decoding": "searches label sequences, the compiled kernel's included",
}

POLICY_FROM = ("policy.distribution", "policy.version")
"""Of a plugin's policy, where it comes from."""


def origins_of(
    plan: Plan, parts: Parts, protocol: str, preprocessing: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return in words where each leaf of the config came from; ``protocol`` is the name of the one in force.

    ``preprocessing`` is what the built backbone says of its own; what it does not say is its plugin's.
    """
    request = plan.request
    model, dataset, backbone = (part.spec.name for part in (plan.model, plan.dataset, plan.backbone))
    dataset_default = f"default of data set '{dataset}'"
    model_default = f"default of model '{model}'"
    spec = plan.model.spec
    backbone_chosen = "--backbone" if request.backbone else model_default if spec.backbone else dataset_default
    tuned = model_default if request.finetune is None and spec.finetune else _typed_or_default(request, "finetune")
    built = f"backbone '{backbone}' as built"
    own_preprocessing = "the backbone's own preprocessing"
    weights_file = f" in {request.weights.name}" if request.weights else ""
    has_validation = "a" if parts.dataset.validation else "no"
    return {
        "bench": "installed distribution",
        **{f"code.{part}": f"computed from the source of bench that {what}" for part, what in HOST_PARTS.items()},
        **{
            f"code.{part}": f"computed from the source of {part} '{name}' in {found.origin.distribution}"
            for part, name, found in (
                ("model", model, plan.model),
                ("dataset", dataset, plan.dataset),
                ("backbone", backbone, plan.backbone),
            )
        },
        "model.name": "--model",
        "model.kind": f"declared by model '{model}'",
        "dataset.name": "--dataset",
        "dataset.train": "--train-split" if request.train_split else dataset_default,
        "dataset.test": "--test-split" if request.test_split else dataset_default,
        "backbone.name": backbone_chosen,
        "backbone.variant": backbone_chosen,
        "backbone.architecture": built,
        "backbone.weights_hash": f"computed from the weights{weights_file}",
        "backbone.dimensions": built,
        "backbone.finetune": tuned,
        "backbone.engine": "--engine" if request.engine != "auto" else "chosen for this backbone and device",
        "protocol": "--protocol" if request.protocol else dataset_default,
        **of_policy(request.policy, plan.policy, protocol),
        **_decoder(plan),
        "device": _typed_or_default(request, "device"),
        "seed": _typed_or_default(request, "seed"),
        "training.hold_out": f"data set '{dataset}' has {has_validation} validation split",
        "dataset.truth": "computed from the test part's ids, labels and truth",
        "dataset.validation_truth": "computed from the validation part's ids, labels and truth",
        **{f"dataset.fingerprints.{part}": "computed from the images and labels" for part in parts.fingerprints},
        **{
            f"backbone.preprocessing.{field.name}": (preprocessing or {}).get(field.name) or own_preprocessing
            for field in fields(Preprocessing)
        },
        **{
            f"{part}.{name}": "installed distribution"
            for part in ("model", "dataset", "backbone")
            for name in ("distribution", "version")
        },
        **_options("model.options", plan.model_options, plan.given["model"], model_default),
        **_training(plan),
        **_search(plan, protocol),
        **_options("dataset.options", plan.dataset_options, plan.given["dataset"], dataset_default, "dataset."),
        **_options(
            "backbone.options",
            plan.backbone_options,
            plan.given["backbone"],
            f"default of backbone '{backbone}'",
            "backbone.",
        ),
        **_options("finetuning", plan.finetuning, plan.given["finetune"], "default of fine-tuning", "finetune."),
        **_map(plan),
    }


def trial_origins(plan: Plan, ledger: Ledger) -> dict[str, str]:
    """Return the origins of what trials chose, and of what the config says of them."""
    which = f"trial {ledger.chosen + 1} of {len(ledger.trials)}, the best by {ledger.metric} on validation"
    parts = {"model.options": plan.model_options, "training": plan.training, "search": plan.search}
    return {
        **{
            f"{part}.{name}": f"chosen: {which}"
            for part, options in parts.items()
            for name in options
            if name in ledger.best.options
        },
        "training.schedule": f"{which}: learning rates of its epochs up to the best",
        **({"training.hold_out": "trained on train and validation after the trials"} if ledger.refit else {}),
        "trials.budget": "--trials",
        "trials.made": f"points of the search space of model '{plan.model.spec.name}', at most the budget",
        "trials.options": "computed from the options of all trials",
        "trials.trained_on": f"as model '{plan.model.spec.name}' allows",
    }


def of_policy(typed: str, found: Found[LabelSetPolicy] | None, protocol: str) -> dict[str, str]:
    """Return the origins of the label-set policy: ``typed``, or what the protocol asks of a model of this kind."""
    names = ["policy.name", "policy.amount", "policy.by_protocol"]
    origins = dict.fromkeys(names, "--policy" if typed else f"protocol {protocol}")
    if found is None:
        return origins
    code = f"computed from the source of policy '{found.spec.name}' in {found.origin.distribution}"
    return origins | {"code.policy": code} | dict.fromkeys(POLICY_FROM, "installed distribution")


def _decoder(plan: Plan) -> dict[str, str]:
    """Return the origins of a plugin's decoder; none where the host searches."""
    if plan.decoder is None:
        return {}
    return {
        "code.decoder": f"computed from the source of decoder '{plan.decoder.spec.name}'"
        f" in {plan.decoder.origin.distribution}",
        "decoder.name": "--set decoder",
        "decoder.distribution": "installed distribution",
        "decoder.version": "installed distribution",
    }


def _options(
    part: str, names: Iterable[str], given: Mapping[str, str], default: str, owner: str = ""
) -> dict[str, str]:
    return {f"{part}.{name}": f"--set {owner}{name}={given[name]}" if name in given else default for name in names}


def _map(plan: Plan) -> dict[str, str]:
    """Return the origins of a feature map's option and shape, where the model takes maps."""
    name = plan.model.spec.name
    if not plan.model.spec.feature_maps:
        return {}
    return {
        f"backbone.options.{MAP_OPTION.name}": f"model '{name}' takes feature maps",
        "backbone.feature_map": f"backbone '{plan.backbone.spec.name}' as built",
    }


def _training(plan: Plan) -> dict[str, str]:
    """Return the origins of the gradient training's options: typed, the model's own default, or everyone's."""
    spec = plan.model.spec
    defaults = {
        f"training.{name}": f"training default of model '{spec.name}'"
        if name in (spec.training or {})
        else f"default of {'training' if spec.training is None else 'gradient training'}"
        for name in plan.training
    }
    typed = [name for name in plan.training if name in plan.given["model"]]
    return defaults | _options("training", typed, plan.given["model"], "")


def _search(plan: Plan, protocol: str) -> dict[str, str]:
    """Return the origins of the search's options; one left to the protocol is so whoever left it, user or default."""
    spec = plan.model.spec
    origins = _options("search", plan.search, plan.given["model"], "default of the search")
    own = [name for name in spec.searching if name not in plan.given["model"]]
    origins |= {f"search.{name}": f"search default of model '{spec.name}'" for name in own}
    left = [name for name, value in plan.search.items() if left_to_protocol(name, value)]
    return origins | {f"search.{name}": f"protocol {protocol}" for name in left}


def _typed_or_default(request: RunRequest, name: str) -> str:
    default = next(field.default for field in fields(RunRequest) if field.name == name)
    return f"default of --{name}" if getattr(request, name) == default else f"--{name}"
