"""Dual views: what neither the like images nor the other tags say alone."""

import numpy as np
from example_fits import f1_of, fitted
from example_models import make


def told_by_both(images, rng):
    """Labels 0-3 show in the features. Label 4 + i comes with 34 + i, so rarely that no like image may have them."""
    truth = np.zeros((images, 64), dtype=bool)
    rows = np.arange(images)
    seen, pair = rng.integers(4, size=images), rng.integers(30, size=images)
    truth[rows, seen] = truth[rows, 4 + pair] = truth[rows, 34 + pair] = True
    values = truth[:, :4] @ np.eye(4, 8) * 3 + 0.3 * rng.normal(size=(images, 8))
    known = np.zeros_like(truth)
    known[rows, 4 + pair] = True
    return values.astype(np.float32), truth, known


def test_both_views_beat_either_and_the_prior():
    rng = np.random.default_rng(0)
    (values, truth, _), (test, test_truth, known) = told_by_both(600, rng), told_by_both(300, rng)
    sizes = {"dimensions": 8, "counts": tuple(truth.sum(axis=0))}
    found = {
        views: f1_of(
            fitted(make("dlsr", **sizes, neighbours="10", views=views), values, truth), test, test_truth, known=known
        )
        for views in ("both", "image", "tags")
    }
    prior = f1_of(fitted(make("prior-known", **sizes), values, truth), test, test_truth, known=known)
    assert found["both"] > max(found["image"], found["tags"]) + 0.05, found
    assert found["both"] > prior + 0.2
