"""Exact match, or subset accuracy: the strictest measure of a label set (Ghamrawi & McCallum, CIKM 2005)."""

import bench


def function(evaluation: bench.Evaluation) -> float:
    """Return the metric of `evaluation`: truth, label sets and scores of a run's test part."""
    from bench_exact_match.formula import subset_accuracy

    return subset_accuracy(evaluation)


@bench.hookimpl
def bench_metrics() -> list[bench.Metric]:
    """Return the one metric of this distribution; `column` is its heading in every table."""
    return [bench.Metric("exact-match", function, "Share of images whose label set is wholly right", column="exact")]
