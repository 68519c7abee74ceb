"""Resamples by one product, and by measuring each drawn set again: ``pytest tests/benchmarks --benchmark-only``."""

import functools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from bench.evaluation import bootstrap, metrics

RESAMPLES = bootstrap.CHUNK - 1
"""With the images as they are, as many as are worked on at once."""


@functools.cache
def predictions():
    """COCO's labels and cardinality on 5,000 images."""
    rng = np.random.default_rng(0)
    truth = rng.random((5_000, 80)) < 2.9 / 80
    scores = (2.0 * truth + rng.normal(size=truth.shape)).astype(np.float32)
    return truth, metrics.top_k(scores, 3), scores


def drawn_again(measure):
    truth, predicted, scores = predictions()
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(truth), size=len(truth)) for _ in range(RESAMPLES)]
    return [measure(truth[rows], predicted[rows], scores[rows]) for rows in draws]


def by_scikit_learn(truth, predicted, scores):
    return f1_score(truth, predicted, average="micro"), average_precision_score(truth, scores)


def by_our_metrics(truth, predicted, scores):
    ap = metrics.average_precisions(truth, scores, ("non_interpolated",))["non_interpolated"]
    return metrics.micro(metrics.class_counts(truth, predicted)), metrics.mean_defined(ap)


@pytest.mark.parametrize("method", ["one product", "our metrics, set by set", "scikit-learn, set by set"])
def test_resamples(benchmark, method):
    benchmark.group = f"{RESAMPLES} resamples of 5,000 x 80"
    calls = {
        "one product": lambda: bootstrap.distribution(*predictions(), resamples=RESAMPLES)["mAP"][1:],
        "our metrics, set by set": lambda: drawn_again(by_our_metrics),
        "scikit-learn, set by set": lambda: drawn_again(by_scikit_learn),
    }
    assert len(benchmark.pedantic(calls[method], rounds=3, warmup_rounds=1)) == RESAMPLES
