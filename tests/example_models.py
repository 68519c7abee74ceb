"""Installed models built small, and features to train them on, for tests."""

import importlib.metadata
import types

import numpy as np
import torch
from torch import nn

import bench
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


class SeesImage(nn.Module):
    """A sequence model whose memory starts from the image, so that equal prefixes of two images differ."""

    activation, sees_image = "tanh", True

    def __init__(self, request, size=8):
        super().__init__()
        labels = len(request.labels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(request.seed)
            self.embedding, self.cell = nn.Embedding(labels + 2, size), nn.GRUCell(size, size)
            self.start, self.image = nn.Linear(request.dimensions, size), nn.Linear(request.dimensions, size)
            self.memory, self.output = nn.Linear(size, size), nn.Linear(size, labels + 1)

    def image_term(self, features):
        return self.image(features)

    def start_states(self, features):
        return torch.tanh(self.start(features))

    def step(self, labels, states):
        following = self.cell(self.embedding(labels), states)
        return self.memory(following), following

    def output_embedding(self):
        return self.output.weight, self.output.bias

    def loss(self, features, truth, generator):
        """Teacher forcing, the labels by their number; after END nothing counts."""
        end = truth.shape[1]
        states, term, total = self.start_states(features), self.image_term(features), 0.0
        previous = torch.full((len(truth),), end + 1)
        left = truth.clone()
        for _ in range(int(truth.sum(dim=1).max()) + 1):
            prefix, states = self.step(previous, states)
            wanted = torch.where(left.any(dim=1), left.int().argmax(dim=1), end)
            logits = self.output(torch.tanh(prefix + term))
            total = total + (nn.functional.cross_entropy(logits, wanted, reduction="none") * (previous != end)).mean()
            left = left & (torch.arange(end) != wanted[:, None])
            previous = wanted
        return total


class OwnPlugin:
    """Stands for the entry point of a distribution of the tests that offers the models ``specs``."""

    name, dist = "models", types.SimpleNamespace(name="bench-of-tests", version="1")

    def __init__(self, *specs):
        self.specs = list(specs)

    def load(self):
        return types.SimpleNamespace(bench_models=bench.hookimpl(lambda: self.specs))


def registry_with(*specs):
    """What is installed, and the models ``specs``."""
    return plugins.load([*importlib.metadata.entry_points(group="multilabel_bench"), OwnPlugin(*specs)])


SEES_IMAGE = bench.ModelSpec("sees-image", "memory starts from the image", "sequence", SeesImage)
