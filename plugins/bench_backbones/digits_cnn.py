"""digits-cnn: a small network trained to name single digits, then frozen: the paper's recipe in small.

It is to digit-scenes what a network trained on ImageNet's single labels is to photographs. Only the
digits that digit-scenes keeps as training sources are used. Training takes seconds and is cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import (
    Backbone,
    BackboneRequest,
    BackboneSpec,
    ModelError,
    Option,
    OptionValue,
    Preprocessing,
    canonical_json,
    deterministic,
    digest,
    progress_bar,
    write_atomic,
)

RECIPE = 1
"""Raised whenever the code below changes what is trained, so that a cached network is not mistaken for it."""

BATCH_SIZE = 64
DIMENSIONS = 128
SCALE = Preprocessing(
    size=64, resize=64, crop="squash", interpolation="bilinear", mean=(0.85, 0.85, 0.85), std=(0.2, 0.2, 0.2)
)


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


def single_digits(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``count`` sheets with one digit each, preprocessed, (count, 3, 64, 64), and their labels."""
    from bench_datasets.digit_painter import LABELS, SIDE, Instance, blank, paint, to_pixels
    from bench_datasets.digits import digits

    from bench import preprocess

    opacities, classes = digits("train")
    sheets = np.empty((count, 3, SIDE, SIDE), dtype=np.float32)
    labels = rng.integers(len(LABELS), size=count)
    rows = [np.flatnonzero(classes == digit) for digit in range(10)]
    for index, label in enumerate(labels):
        side = int(rng.integers(12, 25))
        top, left = (int(corner) for corner in rng.integers(0, SIDE - side + 1, size=2))
        source = int(rng.choice(rows[label % 10]))
        sheet = blank(rng)
        paint(sheet, opacities[source], Instance(int(label), source, side, top, left, float(rng.uniform(0.5, 1.0))))
        sheets[index] = preprocess(to_pixels(sheet), SCALE)
    return sheets, labels


def train(options: Mapping[str, OptionValue]) -> Any:
    """Return the trained feature network."""
    import torch
    from bench_datasets.digit_painter import LABELS

    images, epochs, seed = (int(options[name]) for name in ("images", "epochs", "seed"))
    sheets, labels = (torch.from_numpy(array) for array in single_digits(images, np.random.default_rng([seed, 3])))
    with deterministic(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features, classifier = make_network(len(LABELS))
        parameters = [*features.parameters(), *classifier.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=2e-3)
        steps = epochs * (images // BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
        for _ in progress_bar(range(epochs), "training digits-cnn", unit="epochs"):
            order = torch.randperm(images)
            for start in range(0, images - BATCH_SIZE + 1, BATCH_SIZE):
                rows = order[start : start + BATCH_SIZE]
                loss = torch.nn.functional.cross_entropy(classifier(features(sheets[rows])), labels[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return features


def build(request: BackboneRequest) -> Backbone:
    """Return the network from ``--weights``, or from the cache, or trained now."""
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    from bench_backbones.weights import weights_hash

    network, _ = make_network(1)
    key = digest(canonical_json([RECIPE, dict(request.options)]))
    path = request.weights or request.cache / "backbones" / f"digits-cnn-{key}.safetensors"
    if not path.is_file():
        if request.weights is not None:
            raise ModelError(f"no weights file {path}. Try: without --weights, digits-cnn trains itself")
        write_atomic(path, save(train(request.options).state_dict()))
    try:
        network.load_state_dict(load(path.read_bytes()))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} holds no digits-cnn: {str(error).splitlines()[0]}. Try: delete the file") from error
    network.eval().requires_grad_(False)
    return Backbone("digits-cnn", network, DIMENSIONS, SCALE, weights_hash(network), "digits-cnn")


SPEC = BackboneSpec(
    name="digits-cnn",
    summary="small network trained in seconds to name single digits, then frozen; for digit-scenes",
    build=build,
    options=(
        Option("images", 4000, "single digits to train on", minimum=BATCH_SIZE),
        Option("epochs", 8, "passes over them", minimum=1),
        Option("seed", 0, "draws the digits and the initial weights", minimum=0),
    ),
)
