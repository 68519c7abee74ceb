"""A learnt metric finds like images where most of the features' variance says nothing of labels."""

import numpy as np
import torch
from bench_models.mahalanobis import learnt_metric
from example_fits import f1_of, fitted, scored
from example_models import batch, make

from bench import plugins


def drowned(images, rng):
    """Four directions tell the labels, sixteen louder ones nothing."""
    truth = rng.random((images, 5)) < 0.35
    patterns = np.random.default_rng(7).normal(size=(5, 4))
    told = truth @ patterns + 0.2 * rng.normal(size=(images, 4))
    return np.concatenate([told, 3 * rng.normal(size=(images, 16))], axis=1).astype(np.float32), truth


def test_it_beats_the_identity_and_the_prior_where_most_variance_is_noise():
    rng = np.random.default_rng(0)
    train, test = drowned(1200, rng), drowned(500, rng)
    sizes = {"dimensions": 20, "counts": tuple(train[1].sum(axis=0))}
    options = {"neighbours": "20", "subset": "400", "shrink": "0.05"}
    learnt = f1_of(fitted(make("metric-learning", **sizes, **options), *train), *test)
    identity = f1_of(fitted(make("metric-learning", **sizes, **options, metric="identity"), *train), *test)
    prior = f1_of(fitted(make("prior", **sizes), *train), *test)
    assert learnt > identity + 0.05
    assert learnt > prior + 0.05


def test_subsets_are_drawn_by_the_seed_so_it_is_not_deterministic():
    values, truth = drowned(300, np.random.default_rng(0))
    sizes = {"dimensions": 20, "counts": tuple(truth.sum(axis=0)), "subset": "100", "neighbours": "5"}
    found = [scored(fitted(make("metric-learning", seed=seed, **sizes), values, truth), values) for seed in (0, 1)]
    assert not np.array_equal(*found)
    assert not plugins.installed().model("metric-learning").spec.deterministic


def test_the_identity_is_knn():
    values, truth = batch(60)
    found = [
        scored(fitted(make(name, neighbours="5", **options), values, truth), values)
        for name, options in (("knn", {}), ("metric-learning", {"metric": "identity"}))
    ]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_a_metric_is_positive_semidefinite_of_trace_one_and_short_where_like_images_differ():
    values, truth = drowned(400, np.random.default_rng(1))
    metric = learnt_metric(torch.from_numpy(values).double(), torch.from_numpy(truth).float(), 10, 0.05)
    lengths = metric.diagonal()
    assert torch.linalg.eigvalsh(metric).min() > -1e-9
    torch.testing.assert_close(metric.trace(), torch.tensor(1.0, dtype=torch.float64))
    assert lengths[:4].mean() > 3 * lengths[4:].mean()


def test_without_any_pushed_pair_the_metric_is_the_identity():
    values = torch.randn(20, 3, dtype=torch.float64)
    torch.testing.assert_close(learnt_metric(values, torch.ones(20, 2), 5, 1.0), torch.eye(3, dtype=torch.float64) / 3)
