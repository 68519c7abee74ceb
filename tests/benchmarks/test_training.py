"""An epoch of training by ``bench`` and by a plain PyTorch loop: ``pytest tests/benchmarks --benchmark-only``.

The plain loop is what a user would write: a ``DataLoader`` over a ``TensorDataset``, the same model, loss, update rule
and clipping, on the threads that torch has. Features and label sets are generated, of the size of digit-scenes, so that
this runs anywhere. On cores that others use as well, two threads wait for one another: the plain loop on one thread is
the peer to look at there.
"""

import functools
import math

import numpy as np
import pytest
import torch
from example_models import as_features, make

from bench.contracts import TRAINING_OPTIONS
from bench.model import train
from bench.options import resolve
from bench.speed import workloads
from bench.system.threads import torch_threads

LABELS, IMAGES, DIMENSIONS = 30, 2_500, 128
MODELS = ("softmax", "bce", "warp", "joint-embedding", "no-rnn", "cnn-rnn")


@functools.cache
def part():
    """Features (images, dimensions) float32 and truth (images, labels) bool."""
    truth = np.asarray(workloads.generated_label_sets(LABELS, IMAGES, cardinality=3.5))
    values = np.random.default_rng(0).normal(size=(len(truth), DIMENSIONS)).astype(np.float32)
    return values, truth


def untrained(name):
    _, truth = part()
    return make(name, DIMENSIONS, tuple(int(count) for count in truth.sum(axis=0)))


def by_bench(name):
    values, truth = part()
    options = resolve(TRAINING_OPTIONS, {"epochs": 1}, "training")
    record = train.fit(untrained(name), options, as_features(values), truth, lambda model: 0.0, name=name, seed=0)
    return record.history[0].loss


def by_plain_loop_on_one_thread(name):
    with torch_threads(1):
        return by_plain_loop(name)


def by_plain_loop(name):
    values, truth = part()
    model = untrained(name)
    model.fit(values, truth)
    model.train()
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(values), torch.from_numpy(truth)),
        batch_size=128,
        shuffle=True,
        generator=torch.Generator().manual_seed(0),
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.95, momentum=0.9, weight_decay=1e-4)
    generator, total = torch.Generator().manual_seed(0), 0.0
    for features, wanted in loader:
        optimizer.zero_grad()
        loss = model.loss(features, wanted, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item() * len(features)
    return total / len(values)


METHODS = {"bench": by_bench, "plain loop": by_plain_loop, "plain loop, one thread": by_plain_loop_on_one_thread}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_an_epoch(benchmark, name, method):
    benchmark.group = f"an epoch of {name}, {IMAGES} x {DIMENSIONS}, {LABELS} labels"
    assert math.isfinite(benchmark.pedantic(METHODS[method], (name,), rounds=3, warmup_rounds=1))
