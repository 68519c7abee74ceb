"""One epoch of training beside the loop a user would write: ``pytest tests/benchmarks --benchmark-only -k epoch``.

The plain loop trains the same model by torch's ``DataLoader`` on as many threads as torch has.
"""

import pytest
import torch
from example_models import as_features, batch, make

from bench.contracts import TRAINING_OPTIONS
from bench.model import train
from bench.options import resolve

IMAGES, DIMENSIONS, LABELS = 2048, 128, 30
OPTIONS = resolve(TRAINING_OPTIONS, {"epochs": 1}, "training")


def ours(model, values, truth):
    train.fit(model, OPTIONS, as_features(values), truth, lambda model: 0.0, name="toy", seed=0)


def plain(model, values, truth):
    model.fit(values, truth)
    data = torch.utils.data.TensorDataset(torch.from_numpy(values), torch.from_numpy(truth))
    optimizer = train.Settings.from_options(OPTIONS).make_optimizer(model.parameters(), 1e-3)
    generator = torch.Generator()
    model.train()
    for features, wanted in torch.utils.data.DataLoader(data, batch_size=128, shuffle=True, generator=generator):
        loss = model.loss(features, wanted, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()


@pytest.mark.parametrize("way", [ours, plain])
@pytest.mark.parametrize("name", ["bce", "warp", "no-rnn", "cnn-rnn"])
def test_an_epoch(benchmark, name, way):
    values, truth = batch(IMAGES, DIMENSIONS, LABELS)
    truth &= torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)).numpy() < 0.25
    benchmark.group = f"an epoch of {name}, {IMAGES:,} images"

    def fresh():
        return (make(name, DIMENSIONS, tuple(range(LABELS, 0, -1))), values, truth), {}

    benchmark.pedantic(way, setup=fresh, rounds=3, warmup_rounds=1)
