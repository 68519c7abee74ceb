"""Rows trained by gradients start at the label prior, so that none is below it for want of data."""

import numpy as np
import pytest
import torch
from example_learning import learnt, overall_f1, prior_f1, scores_of

from bench import ModelRequest, plugins
from bench.options import resolve

VECTORS = ("bce", "mlp", "softmax", "warp", "joint-embedding", "asymmetric-loss", "i-ft")
MAPS = ("csra", "hcp", "query2label")


def noise(images, seed, maps, labels=12):
    """Features that say nothing, and labels the first of which are the most frequent by far."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(images, 16, 3, 3) if maps else (images, 16))
    truth = rng.random((images, labels)) < np.linspace(0.9, 0.02, labels) ** 2
    return values.astype(np.float16 if maps else np.float32), truth


def built(name, values, truth, **options):
    spec = plugins.installed().model(name).spec
    counts = tuple(int(count) for count in truth.sum(axis=0))
    labels = tuple(map(str, range(len(counts))))
    shape = values.shape[1:] if values.ndim == 4 else None
    return spec.build(ModelRequest(resolve(spec.options, options, name), values.shape[1], labels, counts, 0, shape))


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in (*VECTORS, *MAPS)), ("bce", {"hidden": "8"}), ("hcp", {"hidden": "8"})],
)
def test_before_training_every_image_has_the_prior_in_its_order(name, options):
    values, truth = noise(40, 0, name in MAPS)
    ignore = np.zeros_like(truth)
    ignore[:10, 3] = True
    model = built(name, values, truth, **options)
    model.fit(values, truth, ignore)
    logits = model.eval().logits(torch.from_numpy(values).float()).detach().numpy()
    counted = ~ignore
    positive = (truth & counted).sum(axis=0)
    wanted = np.log((positive + 0.5) / (counted.sum(axis=0) - positive + 0.5))
    np.testing.assert_allclose(logits, np.tile(wanted, (40, 1)), rtol=1e-5)


@pytest.mark.parametrize("name", [*VECTORS, *MAPS])
def test_on_two_dozen_images_no_row_is_far_below_the_prior(name):
    for seed in (0, 1):
        train, (values, truth) = noise(24, seed, name in MAPS), noise(400, seed + 10, name in MAPS)
        found = overall_f1(scores_of(learnt(name, *train, epochs=60), values), truth, 3)
        assert found > prior_f1(train[1], truth, 3) - 0.1, f"seed {seed}"
