"""Backbones from timm, as ``timm/NAME``: pooled penultimate activations, preprocessing as timm's config says."""

from __future__ import annotations

from typing import Any

from bench import Backbone, BackboneRequest, BackboneSpec, ModelError, Option, Preprocessing, UsageError, unknown
from bench_backbones.torchvision_models import INIT
from bench_backbones.weights import load_file, load_into, weights_hash

OPTIONS = (
    INIT,
    Option("pad_type", "", "padding of convolutions; 'same' for weights that come from TensorFlow"),
    Option("size", 0, "input side in pixels; 0: as timm's config says", minimum=0),
    Option("mean", "", "three numbers or one, comma-separated; empty: as timm's config says"),
    Option("std", "", "three numbers or one, comma-separated; empty: as timm's config says"),
    Option(
        "crop",
        "center",
        "resize the short side and cut the centre, or squash to a square",
        choices=("center", "squash"),
    ),
)


def build(request: BackboneRequest) -> Backbone:
    """Return the timm model that ``--backbone timm/NAME`` names, without its classifier."""
    import timm
    import torch

    if not request.variant:
        raise UsageError("backbone 'timm' needs a model. Try: --backbone timm/resnet18")
    if request.variant.partition(".")[0] not in timm.list_models():
        names = timm.list_models()
        raise unknown("timm model", request.variant, _nearest(request.variant, names), "Try: --backbone timm/resnet18")
    options = request.options
    extra = {"pad_type": options["pad_type"]} if options["pad_type"] else {}
    pretrained = request.weights is None and options["init"] == "pretrained"
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = timm.create_model(request.variant, pretrained=pretrained, num_classes=0, **extra)
    except TypeError as error:
        raise ModelError(
            f"timm/{request.variant} does not take {extra}: {error}. Try: without backbone.pad_type"
        ) from error
    except Exception as error:
        # timm reports a failed download by many kinds of error, of several libraries below it.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"cannot make timm/{request.variant} with its pretrained weights: {reason}."
            " Try: --weights FILE with a safetensors file or a state dict"
        ) from error
    name = f"timm/{request.variant}"
    if request.weights is not None:
        load_into(module, load_file(request.weights), path=request.weights, architecture=name)
    module.eval().requires_grad_(False)
    scale = preprocessing(timm.data.resolve_data_config(model=module), request)
    with torch.inference_mode():
        dimensions = int(module(torch.zeros(1, 3, scale.size, scale.size)).shape[1])
    architecture = " ".join(["timm", request.variant, *(f"{key}={value}" for key, value in extra.items())])
    return Backbone(name, module, dimensions, scale, weights_hash(module), architecture)


def preprocessing(config: dict[str, Any], request: BackboneRequest) -> Preprocessing:
    """Return timm's own evaluation transform, with what the options change."""
    options = request.options
    size = int(options["size"]) or int(config["input_size"][-1])
    return Preprocessing(
        size=size,
        resize=int(size / float(config["crop_pct"])),
        crop="squash" if options["crop"] == "squash" else "center",
        interpolation=config["interpolation"],
        mean=_numbers("mean", str(options["mean"])) or tuple(config["mean"]),
        std=_numbers("std", str(options["std"])) or tuple(config["std"]),
    )


def _numbers(name: str, text: str) -> tuple[float, float, float] | None:
    if not text:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in {1, 3}:
        raise UsageError(f"option {name}: found '{text}', allowed: one number or three. Try: --set backbone.{name}=0.5")
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third


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
