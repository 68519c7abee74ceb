"""Backbones from torchvision: ``vgg16``, the paper's, and every classification model as ``torchvision/NAME``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench import MAP_OPTION, Backbone, BackboneRequest, BackboneSpec, ModelError, Option, UsageError, unknown
from bench_backbones import scaling
from bench_backbones.described import check_architecture, describe
from bench_backbones.downloads import discard_damaged, file_hash, of_url
from bench_backbones.given_weights import AUXILIARY, load_given
from bench_backbones.scaling import Usual, choose
from bench_backbones.trial import shape_of
from bench_backbones.weights import weights_hash

INIT = Option(
    "init",
    "pretrained",
    "pretrained weights, or random ones, which are of use for measuring speed only",
    choices=("pretrained", "random"),
)
OPTIONS = (
    INIT,
    Option("weights", "DEFAULT", "which of torchvision's weights, as IMAGENET1K_V1; of a file: whose preprocessing"),
    *scaling.OPTIONS,
    MAP_OPTION,
)


def build_vgg16(request: BackboneRequest) -> Backbone:
    """Return VGG-16 up to fc7 after its ReLU, 4,096 activations (paper.md section 1.5)."""
    return _build(request, "vgg16", "vgg16")


def build_family(request: BackboneRequest) -> Backbone:
    """Return the torchvision model that ``--backbone torchvision/NAME`` names, up to its last linear layer."""
    return _build(request, request.variant, f"torchvision/{request.variant}")


def _build(request: BackboneRequest, variant: str, name: str) -> Backbone:
    import torch
    from torchvision import models

    variants = models.list_models(module=models)
    if not variant:
        raise UsageError("backbone 'torchvision' needs a model. Try: --backbone torchvision/resnet50")
    if variant not in variants:
        raise unknown("torchvision model", variant, variants, "Try: --backbone torchvision/resnet50")
    weights = _weights(variant, str(request.options["weights"]))
    described = None if request.weights is None else describe(request.weights)
    known, notes = described is None or request.options["weights"] != "DEFAULT", tuple[str, ...]()
    if described is not None:
        check_architecture(described, "torchvision", variant, name)
        found = _own_weights(described.path, variant)
        if found is not None and not known:
            weights, known = found, True
        elif found is not None and found is not weights:
            notes = (f"--set backbone.weights={weights.name} is taken, though {described.path.name} is {found}",)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.get_model(variant, weights=None, **_arguments(variant, weights))
    if described is None and request.options["init"] == "pretrained":
        notes = _download(network, variant, weights)
    module, dimensions = cut(network, variant)
    if variant.startswith(("vgg", "alexnet")):  # all others take the mean of the whole map
        from bench_backbones.pooling import AdaptiveMean

        module.avgpool = AdaptiveMean(module.avgpool)
    if described is not None:
        load_given(module, described.path, name)
    module.eval().requires_grad_(False)
    scaled = choose(request.options, described, usual(weights, known=known))
    hashed, feature_map = weights_hash(module), None
    side = scaled.preprocessing.size
    shape_of(module, side, name)
    if request.options["features"] == "map":
        from bench_backbones.maps import torchvision_maps

        module = torchvision_maps(module, variant, side)
        dimensions, *_ = feature_map = shape_of(module, side, name)
    return Backbone(
        name,
        module,
        dimensions,
        scaled.preprocessing,
        hashed,
        f"torchvision {variant}",
        preprocessing_origins=scaled.origins,
        notes=(*notes, *scaled.notes),
        feature_map=feature_map,
    )


def _weights(variant: str, name: str) -> Any:
    """Return torchvision's weights of ``variant`` that ``name`` names."""
    from torchvision import models

    entries = models.get_model_weights(variant)
    if name not in {"DEFAULT", *entries.__members__}:
        names = ["DEFAULT", *entries.__members__]
        raise unknown(f"torchvision weights of {variant}", name, names, f"Try: --set backbone.weights={names[1]}")
    return entries[name]


def _own_weights(path: Path, variant: str) -> Any:
    """Return torchvision's weights that ``path`` holds to the byte, or ``None``; the hash is in their address."""
    from torchvision import models

    found = file_hash(path) if path.is_file() else ""  # reading it says what is wrong with it
    for entry in models.get_model_weights(variant):
        promised = re.search(r"-([0-9a-f]{8,})\.", entry.url)
        if promised and found.startswith(promised[1]):
            return entry
    return None


def _arguments(variant: str, weights: Any) -> dict[str, Any]:
    """Return what torchvision's own builder makes the network with, for ``weights`` to fit."""
    if variant in {"googlenet", "inception_v3"}:
        return {"init_weights": False}  # it would warn that this takes half a minute
    return {"image_size": weights.meta["min_size"][0]} if variant.startswith("vit_") else {}


def _download(network: Any, variant: str, weights: Any) -> tuple[str, ...]:
    """Put the pretrained weights into ``network``, and return a line where their file in the cache was damaged.

    torchvision checks the hash in the file's name when it downloads it, and not when it reads it again.
    """
    from torchvision._internally_replaced_utils import load_state_dict_from_url

    notes = discard_damaged([of_url(weights.url)])
    try:
        network.load_state_dict(load_state_dict_from_url(weights.url, progress=True, check_hash=True))
    except (OSError, RuntimeError, EOFError) as error:
        cause = str(getattr(error, "reason", error))  # urllib's own text is <urlopen error ...>
        reason = cause.splitlines()[0].rstrip(".") if cause else type(error).__name__
        raise ModelError(
            f"cannot download the weights of torchvision's {variant}: {'; '.join((*notes, reason))}."
            " Try: --weights FILE with a state dict or safetensors file"
        ) from error
    return notes


def cut(network: Any, variant: str) -> tuple[Any, int]:
    """Return ``network`` without its last linear layer, and the number of activations that enter it.

    What precedes it inside the classifier, such as VGG's fc6 and fc7, stays; parameters keep their names. Auxiliary
    classifiers, of which networks give the answers beside their own in training, are cut off, too.
    """
    from torch import nn

    for name in AUXILIARY:
        if hasattr(network, name):
            setattr(network, name, None)
            network.aux_logits = False
    for name in ("fc", "head", "classifier", "heads"):
        head = getattr(network, name, None)
        if isinstance(head, nn.Linear):
            setattr(network, name, nn.Identity())
            return network, int(head.in_features)
        if isinstance(head, nn.Sequential):
            linear = [place for place, layer in enumerate(head) if isinstance(layer, nn.Linear)]
            if linear:
                last = head[linear[-1]]
                assert isinstance(last, nn.Linear)
                dimensions = last.in_features
                setattr(network, name, nn.Sequential(*list(head)[: linear[-1]]))
                return network, dimensions
            if any(isinstance(layer, nn.Conv2d) for layer in head):
                # SqueezeNet classifies by a convolution: what enters it is averaged over places.
                channels = next(layer.in_channels for layer in head if isinstance(layer, nn.Conv2d))
                setattr(network, name, nn.Sequential(nn.AdaptiveAvgPool2d(1)))
                return network, int(channels)
    raise ModelError(
        f"torchvision's {variant} ends in no layer that can be cut off. Try: --backbone torchvision/resnet50"
    )


def usual(weights: Any, *, known: bool) -> Usual:
    """Return what torchvision's own transform for these weights does; ``known``: they are the ones that are read."""
    from fractions import Fraction

    transform = weights.transforms()
    size, resize = int(transform.crop_size[0]), int(transform.resize_size[0])
    # With these weights, torchvision's networks bring pictures to another mean and deviation themselves.
    inside = type(weights).__name__ in {"GoogLeNet_Weights", "Inception_V3_Weights"}
    values = {
        "input_size": (3, size, size),
        "crop_pct": Fraction(size, resize),
        "crop_mode": "center",
        "interpolation": transform.interpolation.value,
        "mean": (0.5, 0.5, 0.5) if inside else tuple(transform.mean),
        "std": (0.5, 0.5, 0.5) if inside else tuple(transform.std),
    }
    return Usual(values, f"torchvision's {weights}", known)


SPECS = [
    BackboneSpec(
        name="vgg16",
        summary="VGG-16 up to fc7, 4,096 activations: the paper's; ImageNet weights",
        build=build_vgg16,
        options=OPTIONS,
        source="Simonyan & Zisserman, ICLR 2015",
    ),
    BackboneSpec(
        name="torchvision",
        summary="any classification model of torchvision, as in torchvision/resnet50",
        build=build_family,
        options=OPTIONS,
        family=True,
    ),
]
