"""Backbones from timm, as ``timm/NAME``: pooled penultimate activations, preprocessing as the weights' files say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import (
    MAP_OPTION,
    Backbone,
    BackboneRequest,
    BackboneSpec,
    ModelError,
    Option,
    UsageError,
    canonical_json,
    unknown,
)
from bench_backbones import scaling
from bench_backbones.described import SCALING, Described, check_architecture, describe
from bench_backbones.downloads import discard_damaged, is_damaged, of_timm
from bench_backbones.given_weights import load_given
from bench_backbones.scaling import Usual
from bench_backbones.torchvision_models import INIT
from bench_backbones.trial import shape_of
from bench_backbones.weights import weights_hash

OPTIONS = (
    INIT,
    Option("pad_type", "", "padding of convolutions; 'same' for weights that come from TensorFlow"),
    *scaling.OPTIONS,
    MAP_OPTION,
)


def build(request: BackboneRequest) -> Backbone:
    """Return the timm model that ``--backbone timm/NAME`` names, without its classifier."""
    import timm

    if not request.variant:
        raise UsageError("backbone 'timm' needs a model. Try: --backbone timm/resnet18")
    if request.variant.partition(".")[0] not in timm.list_models():
        names = timm.list_models()
        raise unknown("timm model", request.variant, _nearest(request.variant, names), "Try: --backbone timm/resnet18")
    name = f"timm/{request.variant}"
    described = None if request.weights is None else describe(request.weights)
    if described is not None:
        check_architecture(described, "timm", request.variant, name)
    extra, notes = _arguments(request, described)
    if described is None and request.options["init"] == "pretrained":
        module, words = _pretrained(request.variant, extra)
        notes += words
    else:
        module = _made(request.variant, extra, pretrained=False)
    if described is not None:
        load_given(module, described.path, name)
    module.eval().requires_grad_(False)
    scaled = scaling.choose(request.options, described, _usual(module, request.variant, known=described is None))
    side = scaled.preprocessing.size
    hashed, feature_map = weights_hash(module), None
    if request.options["features"] == "map":
        from bench_backbones.maps import TimmMaps

        module = TimmMaps(module)
        feature_map = shape_of(module, side, name)
    dimensions = (feature_map or shape_of(module, side, name))[0]
    architecture = " ".join(["timm", request.variant, *(f"{key}={_text(value)}" for key, value in extra.items())])
    return Backbone(
        name,
        module,
        dimensions,
        scaled.preprocessing,
        hashed,
        architecture,
        preprocessing_origins=scaled.origins,
        notes=(*notes, *scaled.notes),
        feature_map=feature_map,
    )


def _arguments(request: BackboneRequest, described: Described | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what the network is made with besides its name, and a line where a typed value overrules a file's."""
    said = dict(sorted(described.arguments.items())) if described else {}
    said.pop("num_classes", None)  # the classifier is left out
    if not said.get("global_pool"):
        said.pop("global_pool", None)  # and what led to it is pooled, whatever the file's network ended in
    if described is not None and said.pop("in_chans", 3) != 3:
        raise ModelError(f"weights {described.path}: model_args: found in_chans, allowed: 3. Try: other weights")
    typed = request.options["pad_type"]
    notes: tuple[str, ...] = ()
    if typed and "pad_type" in said and said["pad_type"] != typed:
        notes = (f"--set backbone.pad_type={typed} is taken, though the weights' file says {said['pad_type']}",)
    return said | ({"pad_type": typed} if typed else {}), notes


def _made(variant: str, extra: Mapping[str, Any], *, pretrained: bool) -> Any:
    import timm
    import torch

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return timm.create_model(variant, pretrained=pretrained, num_classes=0, **extra)
    except TypeError as error:
        hint = "without backbone.pad_type" if "pad_type" in extra else "other weights"
        raise ModelError(f"timm/{variant} does not take {dict(extra)}: {error}. Try: {hint}") from error


def _pretrained(variant: str, extra: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return the network with timm's weights, whose cached files are checked before and after they are read."""
    import timm

    config = timm.get_pretrained_cfg(variant)
    named = config.to_dict() if config else {}
    notes = discard_damaged(of_timm(named))
    try:
        module = _made(variant, extra, pretrained=True)
    except ModelError:
        raise
    except Exception as error:
        # timm reports a failed download by many kinds of error, of several libraries below it.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"cannot make timm/{variant} with its pretrained weights: {'; '.join((*notes, reason))}."
            " Try: --weights with a safetensors file, a state dict, or a folder with config.json and model.safetensors"
        ) from error
    for path in of_timm(named):
        if is_damaged(path):
            raise ModelError(f"downloaded weights {path} are not what their name promises. Try: delete the file")
    return module, notes


def _usual(module: Any, variant: str, *, known: bool) -> Usual:
    """Return timm's own evaluation transform for ``module``; ``known``: its weights are timm's too."""
    import timm

    values = timm.data.resolve_data_config(model=module)
    tag = module.pretrained_cfg.get("tag")
    name = variant if "." in variant or not tag else f"{variant}.{tag}"
    return Usual({name: values[name] for name in SCALING}, f"timm's config of {name}", known)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _nearest(name: str, names: list[str]) -> list[str]:
    """Return the few names most like ``name``: timm has more than a thousand."""
    import difflib

    return difflib.get_close_matches(name, names, n=5, cutoff=0.3) or names[:5]


SPEC = BackboneSpec(
    name="timm",
    summary="any image model of timm, as in timm/resnet18",
    build=build,
    options=OPTIONS,
    family=True,
    source="Wightman, PyTorch Image Models",
)
