"""Installed models built small, and features to train them on, for tests."""

import numpy as np

from bench import ModelRequest, plugins
from bench.options import resolve
from bench.records import Features


def make(name, dimensions=6, counts=(5, 9, 9, 2), seed=0, **options):
    spec = plugins.installed().model(name).spec
    labels = tuple(f"label {number}" for number in range(len(counts)))
    resolved = resolve(spec.options, options, name)
    return spec.build(ModelRequest(resolved, dimensions, labels, tuple(counts), seed))


def batch(images=12, dimensions=6, labels=4, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < 0.4
    truth[np.arange(images), rng.integers(labels, size=images)] = True
    return rng.normal(size=(images, dimensions)).astype(np.float32), truth


def as_features(values):
    return Features(tuple(map(str, range(len(values)))), values, "toy")
