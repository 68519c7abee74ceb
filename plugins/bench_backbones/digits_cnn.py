"""digits-cnn: a small network trained to name single digits, then frozen: the paper's recipe in small.

It is to digit-scenes what a network trained on ImageNet's single labels is to photographs. Its weights come with this
package, so that a run is the same wherever it is made; ``python -m bench_backbones.digits_cnn_recipe`` makes them anew.
With other options it trains itself, once: that takes up to a minute and is cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import (
    MAP_OPTION,
    Backbone,
    BackboneRequest,
    BackboneSpec,
    ModelError,
    Option,
    OptionValue,
    Preprocessing,
    canonical_json,
    digest,
    write_atomic,
)

RECIPE = 2
"""Raised whenever the recipe changes what is trained, so that a cached network is not mistaken for it."""

SHIPPED = Path(__file__).with_name("digits-cnn.safetensors")
SHIPPED_HASH = "1d1e8708fa7edc13"
"""``bench_backbones.weights.weights_hash`` of the weights in ``SHIPPED``, those of the options' defaults."""

DIMENSIONS = 128
SCALE = Preprocessing(
    size=64, resize=64, crop="squash", interpolation="bilinear", mean=(0.85, 0.85, 0.85), std=(0.2, 0.2, 0.2)
)
OPTIONS = (
    Option("images", 4000, "single digits to train on", minimum=64),
    Option("epochs", 8, "passes over them", minimum=1),
    Option("seed", 0, "draws the digits and the initial weights", minimum=0),
)
DEFAULTS = {option.name: option.default for option in OPTIONS}
BEFORE_POOLING = 7
"""Layers up to the last feature map."""


def make_network(classes: int) -> Any:
    """Return (features, classifier): convolutions, global maximum and mean, and 128 penultimate activations."""
    from torch import nn

    from bench_backbones.pooling import MaximumAndMean

    features = nn.Sequential(
        nn.Conv2d(3, 32, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        MaximumAndMean(),
        nn.Linear(256, DIMENSIONS),
        nn.ReLU(),
    )
    return features, nn.Linear(DIMENSIONS, classes)


def train(options: Mapping[str, OptionValue]) -> bytes:
    """Return the content of a safetensors file with the weights that the recipe gives for ``options``."""
    from bench_backbones.digits_cnn_recipe import train

    return train(options)


def build(request: BackboneRequest) -> Backbone:
    """Return the network from ``--weights``, from this package, from the cache, or trained now."""
    import torch

    from bench_backbones.weights import weights_hash

    notes: tuple[str, ...] = ()
    if request.weights is not None:
        network, notes = _from_file(request.weights)
    elif _recipe(request) == DEFAULTS:
        network = shipped()
    else:
        network, notes = _from_cache(request)
    hashed, dimensions, feature_map = weights_hash(network), DIMENSIONS, None
    network = network.to(memory_format=torch.channels_last)  # two thirds of the time
    if request.options["features"] == "map":
        from bench_backbones.trial import shape_of

        network = network[:BEFORE_POOLING]
        feature_map = shape_of(network, SCALE.size, "digits-cnn")
        dimensions = feature_map[0]
    return Backbone(
        "digits-cnn", network, dimensions, SCALE, hashed, "digits-cnn", notes=notes, feature_map=feature_map
    )


def _recipe(request: BackboneRequest) -> dict[str, OptionValue]:
    """Return the options that shape the weights."""
    return {name: request.options[name] for name in DEFAULTS}


def shipped() -> Any:
    """Return the frozen network with the weights of this package; raise ``ModelError`` where they are damaged."""
    network, found, _ = read(SHIPPED)
    if found != SHIPPED_HASH:
        raise ModelError(
            f"{SHIPPED} is damaged: its weights have the hash {found}, allowed: {SHIPPED_HASH}."
            " Try: pip install --force-reinstall --no-deps multilabel-bench"
        )
    return network


def read(path: Path) -> tuple[Any, str, str]:
    """Return the frozen network in ``path``, the hash of its weights, and the hash that the file says they have.

    Raises ``ModelError`` for a file that holds no digits-cnn.
    """
    from bench_backbones.described import metadata
    from bench_backbones.weights import load_file, load_into, weights_hash

    network, _ = make_network(1)
    load_into(network, load_file(path), path=path, architecture="digits-cnn")
    network.eval().requires_grad_(False)
    return network, weights_hash(network), metadata(path).get("weights_hash", "")


def _from_file(weights: Path) -> tuple[Any, tuple[str, ...]]:
    from bench_backbones.described import check_architecture, describe

    described = describe(weights)
    check_architecture(described, "digits-cnn", "digits-cnn", "digits-cnn")
    network, found, promised = read(described.path)
    if promised not in {"", found}:
        raise ModelError(
            f"weights {described.path} are damaged: their hash is {found}, the file says {promised}."
            " Try: without --weights, digits-cnn has its own"
        )
    says = ", ".join(described.scaling)
    return network, (f"{described.path.name} says {says}; not used, digits-cnn has its own",) if says else ()


def _from_cache(request: BackboneRequest) -> tuple[Any, tuple[str, ...]]:
    """Return the network as trained before with these options; one that is damaged is trained again, with a word."""
    key = digest(canonical_json([RECIPE, _recipe(request)]))
    path = request.cache / "backbones" / f"digits-cnn-{key}.safetensors"
    notes: tuple[str, ...] = ()
    if path.is_file():
        try:
            network, found, promised = read(path)
        except ModelError:
            found, promised = "", "a network"
        if found == promised:
            return network, ()
        notes = (f"cached weights {path.name} were damaged, and are trained again",)
    write_atomic(path, train(_recipe(request)))
    return read(path)[0], notes


SPEC = BackboneSpec(
    name="digits-cnn",
    summary="small network that names single digits, frozen, with its weights; for digit-scenes",
    build=build,
    options=(*OPTIONS, MAP_OPTION),
)
