"""A report's page, its error bars drawn, and its error bars kept: ``pytest tests/benchmarks --benchmark-only``.

Three runs of 5,000 images x 80 labels; docs/performance.md tells of fifteen of COCO's size.
"""

import numpy as np
import pytest
from example_runs import make_run

from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.records import Scores
from bench.show.report import gather, page
from bench.speed import workloads
from bench.store.resamples import kept_in
from bench.store.stored import Truth

IMAGES, LABELS, RESAMPLES = 5_000, 80, 200


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """The runs of three models, as a report shows them."""
    root = tmp_path_factory.mktemp("runs")
    truth = workloads.generated_label_sets(LABELS, IMAGES, cardinality=2.9)
    ids, labels = tuple(map(str, range(IMAGES))), tuple(map(str, range(LABELS)))
    protocol, summaries = protocols.get("top3@1"), []
    for seed, model in enumerate(("bce", "softmax", "warp")):
        folder = make_run(root, model, protocol=protocol.name)
        folder.write_truth(Truth(ids, labels, truth, None))
        folder.write_sizes(truth * np.float32(0.1))
        scores = Scores(ids, workloads.simulated_evidence(truth, 2.0, seed), "logit")
        folder.write_scores(scores)
        folder.write_predicted(protocols.predicted_from_scores(protocol, scores)[:])
        masks = folder.read_masks()
        folder.write_measures(measure(protocol, labels, masks.truth, None, masks.predicted, scores))
        summaries.append(folder.summary())
    (found,) = gather.groups(summaries)
    return found


@pytest.fixture
def report(benchmark):
    benchmark.group = f"report, 3 runs of {IMAGES:,} x {LABELS}"
    return lambda call: benchmark.pedantic(call, rounds=5, warmup_rounds=1)


def test_the_page_without_error_bars(report, group):
    def made():
        (again,) = gather.groups(group.runs)
        return page.render([again], page.drawings([again]), [], "Report")

    assert "Report" in report(made)


def test_error_bars_drawn(report, group):
    assert report(lambda: gather.with_error_bars(group, RESAMPLES)).resamples == RESAMPLES


def test_error_bars_kept(report, group, tmp_path):
    draw = kept_in(tmp_path)
    assert report(lambda: gather.with_error_bars(group, RESAMPLES, draw)).resamples == RESAMPLES
