"""Backbones from torchvision: ``vgg16``, the paper's, and every classification model as ``torchvision/NAME``."""

from __future__ import annotations

from typing import Any

from bench import Backbone, BackboneRequest, BackboneSpec, ModelError, Option, Preprocessing, UsageError, unknown
from bench_backbones.weights import load_file, load_into, weights_hash

INIT = Option(
    "init",
    "pretrained",
    "pretrained weights, or random ones, which are of use for measuring speed only",
    choices=("pretrained", "random"),
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

    known = models.list_models(module=models)
    if not variant:
        raise UsageError("backbone 'torchvision' needs a model. Try: --backbone torchvision/resnet50")
    if variant not in known:
        raise unknown("torchvision model", variant, known, "Try: --backbone torchvision/resnet50")
    weights = models.get_model_weights(variant).DEFAULT
    random = request.options["init"] == "random"
    if request.weights is not None or random:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = models.get_model(variant, weights=None)
    else:
        network = _download(variant, weights)
    module, dimensions = cut(network, variant)
    if request.weights is not None:
        load_into(module, load_file(request.weights), path=request.weights, architecture=name)
    module.eval().requires_grad_(False)
    return Backbone(name, module, dimensions, preprocessing(weights), weights_hash(module), f"torchvision {variant}")


def _download(variant: str, weights: Any) -> Any:
    """Return the pretrained network; torchvision checks the file's hash, which is in its name."""
    from torchvision import models
    from torchvision._internally_replaced_utils import load_state_dict_from_url

    network = models.get_model(variant, weights=None)
    try:
        network.load_state_dict(load_state_dict_from_url(weights.url, progress=True, check_hash=True))
    except (OSError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"cannot download the weights of torchvision's {variant}: {reason}."
            " Try: --weights FILE with a state dict or safetensors file"
        ) from error
    return network


def cut(network: Any, variant: str) -> tuple[Any, int]:
    """Return ``network`` without its last linear layer, and the number of activations that enter it.

    What precedes it inside the classifier, such as VGG's fc6 and fc7, stays; parameters keep their names.
    """
    from torch import nn

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


def preprocessing(weights: Any) -> Preprocessing:
    """Return what torchvision's own transform for these weights does."""
    transform = weights.transforms()
    return Preprocessing(
        size=int(transform.crop_size[0]),
        resize=int(transform.resize_size[0]),
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


SPECS = [
    BackboneSpec(
        name="vgg16",
        summary="VGG-16 up to fc7, 4,096 activations: the paper's; ImageNet weights",
        build=build_vgg16,
        options=(INIT,),
        source="Simonyan & Zisserman, ICLR 2015",
    ),
    BackboneSpec(
        name="torchvision",
        summary="any classification model of torchvision, as in torchvision/resnet50",
        build=build_family,
        options=(INIT,),
        family=True,
    ),
]
