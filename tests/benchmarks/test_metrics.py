"""Metrics by each library: ``pytest tests/benchmarks/test_metrics.py --benchmark-only``.

torchmetrics runs on one thread, as the others do. ``bench speed-metrics`` takes other sizes and stored runs.
"""

import functools

import pytest

from bench.speed import metric_peers as peers

SIZES = [(40_504, 80), (20_000, 1000)]


@functools.cache
def generated(images, labels):
    return peers.generated(images, labels)


def ways(library):
    """One way per library and part: the fastest one, which is the last."""
    return {"bench": peers.ours, "scikit-learn": peers.scikit_learn, "torchmetrics": lambda: peers.torchmetrics(1)}[
        library
    ]()


@pytest.mark.parametrize("library", ["bench", "scikit-learn", "torchmetrics"])
@pytest.mark.parametrize("part", [peers.COUNTS, peers.RANKING])
@pytest.mark.parametrize(("images", "labels"), SIZES)
def test_metrics(benchmark, images, labels, part, library):
    if library == "torchmetrics":
        pytest.importorskip("torchmetrics")
    case = generated(images, labels)
    benchmark.group = f"{part}, {images:,} x {labels:,}"
    way = list(ways(library)[part].values())[-1]
    found = benchmark.pedantic(way, (case,), rounds=3, warmup_rounds=1)
    assert len(found["precision" if part == peers.COUNTS else "AP"]) == case.kept.sum()
