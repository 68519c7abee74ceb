"""How digits-cnn's weights are made: trained on single digits of train's sources, none that a test scene shows.

    python -m bench_backbones.digits_cnn_recipe --out digits-cnn.safetensors

makes the shipped ones anew, in up to a minute on 2 cores; on one machine with the same hash however often, while others
round otherwise. It prints the hash, and how well the features name single digits of test's sources.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import OptionValue, deterministic, preprocess, progress_bar, write_atomic
from bench_backbones.digits_cnn import DEFAULTS, RECIPE, SCALE, make_network, read

if TYPE_CHECKING:
    from bench_datasets.digits import Part

BATCH_SIZE = 64
PROBE_DIGITS = 3000
"""Sheets of train's sources that the linear probe is fitted on, and of test's that it is measured on."""


def single_digits(
    count: int, rng: np.random.Generator, part: Part = "train"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``count`` sheets with one digit of ``part`` each, preprocessed, (count, 3, 64, 64), and their labels."""
    from bench_datasets.digit_painter import LABELS, SIDE, Instance, blank, paint, to_pixels
    from bench_datasets.digits import digits

    opacities, classes = digits(part)
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


def train(options: Mapping[str, OptionValue]) -> bytes:
    """Return the content of a safetensors file: the trained feature network, rounded to half precision."""
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
    return _content(features)


def _content(features: Any) -> bytes:
    """Return the weights in half precision, a quarter of a megabyte, with the hash that they have when read."""
    from safetensors.torch import save

    from bench_backbones.weights import weights_hash

    halves = {name: tensor.detach().half() for name, tensor in features.state_dict().items()}
    rounded, _ = make_network(1)
    rounded.load_state_dict(halves)
    metadata = {"architecture": "digits-cnn", "recipe": str(RECIPE), "weights_hash": weights_hash(rounded)}
    content: bytes = save(halves, metadata=metadata)
    return content


def probe_accuracy(network: Any, count: int = PROBE_DIGITS) -> float:
    """Return which part of single digits of test's sources a linear probe on ``network``'s features names, ink too.

    The probe is ridge regression to one-hot labels, fitted on ``count`` digits of train's sources and measured on as
    many of test's. In [0, 1], higher is better.
    """
    import torch

    rng = np.random.default_rng(5)
    inputs, targets = [], []
    for part in ("train", "test"):
        sheets, labels = single_digits(count, rng, part)
        with torch.inference_mode():
            features = network(torch.from_numpy(sheets)).double().numpy()
        inputs.append(np.hstack((features, np.ones((len(features), 1)))))
        targets.append(labels)
    fitted = np.linalg.solve(inputs[0].T @ inputs[0] + np.eye(inputs[0].shape[1]), inputs[0].T @ np.eye(30)[targets[0]])
    return float(((inputs[1] @ fitted).argmax(axis=1) == targets[1]).mean())


def main(arguments: list[str] | None = None) -> None:
    """Train, write the file, and print its hash and accuracy."""
    parser = argparse.ArgumentParser(prog="python -m bench_backbones.digits_cnn_recipe", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .safetensors file")
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = vars(parser.parse_args(arguments))
    out = asked.pop("out")
    write_atomic(out, train(asked))
    network, found, _ = read(out)
    print(f"{out}: weights_hash {found}, names {probe_accuracy(network):.1%} of single digits of test's sources")


if __name__ == "__main__":
    main()
