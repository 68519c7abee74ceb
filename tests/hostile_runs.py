"""Small runs of plugins made up in a test: four labels, and pictures of 4 x 4 pixels as they are."""

import itertools

import numpy as np
import torch

import bench
from bench.assembly import _cached_backbone, _cached_parts
from bench.data.images import ArrayImages
from bench.pipeline import run_one
from bench.plugins import Found, Origin, Registry
from bench.records import Dataset, Preprocessing, RunRequest, Split

GOOD, BAD = Origin("bench-good", "1.0", "good"), Origin("bench-bad", "2.1", "bad")
LABELS = ("cat", "dog", "bird", "fish")
SIDE = 4


def split(name, count, images=None):
    rng = np.random.default_rng(count)
    truth = rng.random((count, len(LABELS))) < 0.4
    truth[np.arange(count), np.arange(count) % len(LABELS)] = True
    pixels = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    pixels = images or ArrayImages(pixels, name)
    return Split("toy", name, tuple(f"{name}{row}" for row in range(count)), LABELS, truth, pixels)


def toy(images=None):
    test = split("test", 24, images)
    return Dataset("toy", "made up", split("train", 40), test, "top2@1")


class Pictures(bench.Images):
    """As many pictures as the test part of ``toy`` has; a test says what reading one does."""

    def __len__(self):
        return 24

    def describe(self, index):
        return str(index)

    def content_hash(self):
        return "made up"


class Flat(torch.nn.Module):
    def forward(self, pixels):
        return pixels.flatten(1)


def flat(module=None):
    plain = Preprocessing(SIDE, SIDE, "squash")
    return bench.Backbone("flat", module or Flat(), 3 * SIDE * SIDE, plain, "0" * 16)


class Plain(torch.nn.Module):
    """A linear model whose numbers move with whatever is global."""

    score_kind = "logit"

    def __init__(self, request):
        super().__init__()
        self.linear = torch.nn.Linear(request.dimensions, len(request.labels))

    def forward(self, features):
        return self.linear(features)

    def loss(self, features, truth, generator):
        noise = torch.rand(1) + np.random.rand()  # noqa: NPY002 - the old generator is what is global
        logits = self(features) + noise.to(features.dtype)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.float())


class Worded(torch.nn.Module):
    """A small sequence model: a prefix's term is its last label's."""

    activation = "identity"
    sees_image = False

    def __init__(self, request):
        super().__init__()
        labels = len(request.labels)
        self.image = torch.nn.Linear(request.dimensions, 5)
        self.words = torch.nn.Embedding(labels + 2, 5)
        self.output = torch.nn.Parameter(torch.randn(labels + 1, 5))

    def image_term(self, features):
        return self.image(features)

    def start_states(self, features):
        return torch.zeros(1, 2)

    def step(self, labels, states):
        return self.words(labels), states + 1

    def output_embedding(self):
        return self.output, None

    def loss(self, features, truth, generator):
        scores = self.image_term(features) @ self.output.T
        return torch.nn.functional.binary_cross_entropy_with_logits(scores[:, :-1], truth.float()) + scores.var()


def registry(model=Plain, *, kind="scores", dataset=toy, backbone=flat, bad="model", training=None):
    """Return a registry of one of each; ``bad`` is the kind whose plugin is ``bench-bad``."""
    fast = {"epochs": 1} if training is None else training
    return Registry(
        {
            "models": {"m": found(bench.ModelSpec("m", "a model", kind, model, training=fast), bad == "model")},
            "datasets": {
                "toy": found(
                    bench.DatasetSpec("toy", "made up", lambda _: dataset(), backbone="flat"), bad == "dataset"
                )
            },
            "backbones": {"flat": found(bench.BackboneSpec("flat", "pixels", lambda _: backbone()), bad == "backbone")},
            "trackers": {},
        }
    )


def found(spec, bad):
    return Found(spec, BAD if bad else GOOD)


_NUMBERS = itertools.count()


def run(folder, plugins, **changes):
    """Run the model of ``plugins`` on nothing that an earlier run has left, and return the folder."""
    _cached_parts.cache_clear()
    _cached_backbone.cache_clear()
    place = folder / str(next(_NUMBERS))
    opened = []
    request = RunRequest("m", "toy", out=place / "runs", cache=place / "cache", **changes)
    try:
        return run_one(request, plugins, opened=opened.append)
    except bench.BenchError as error:
        error.folder = opened[0] if opened else None
        raise
