from dataclasses import replace

import numpy as np
import pytest

from bench.evaluation import bootstrap, metric_table, metrics, resample, significance
from bench.evaluation.measure import measure
from bench.records import Scores


def example(images=60, labels=7, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < 0.3
    scores = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    if ties:
        scores = np.round(scores)
    ignore = (rng.random(truth.shape) < 0.1) & ~truth
    return truth, metrics.top_k(scores, 2), scores, ignore


def direct(truth, predicted, scores, ignore, protocol=resample.USUAL):
    ranked = Scores(tuple(map(str, range(len(truth)))), scores, "margin")
    found = measure(protocol, tuple(map(str, range(truth.shape[1]))), truth, ignore, predicted, ranked).values
    resampled = {name for name, metric in metric_table.by_name().items() if metric.resampled}
    return {name: value for name, value in found.items() if name in resampled}


CHOICES = (
    {"ap": "non_interpolated"},
    {"ap": "all_point"},
    {"ap": "11_point"},
    {"f1": "mean_of_f1"},
    {"no_predictions": "one"},
    {"f1": "mean_of_f1", "no_predictions": "one"},
)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: " ".join(choices.values()))
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_give_what_repeating_the_images_gives(ties, masked, choices):
    truth, predicted, scores, ignore = example(ties=ties)
    predicted = predicted & (np.arange(len(truth)) % 4 > 0)[:, None] & (np.arange(7) > 0)  # none of a class, an image
    mask, protocol = ignore if masked else None, replace(resample.USUAL, **choices)
    (weights,) = bootstrap.weightings(len(truth), 5, seed=3)
    found = bootstrap.measured(resample.prepare(truth, predicted, scores, mask, protocol)(weights))
    for row, weight in enumerate(weights):
        rows = np.repeat(np.arange(len(truth)), weight.astype(int))
        expected = direct(truth[rows], predicted[rows], scores[rows], None if mask is None else mask[rows], protocol)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-6), name


def test_the_first_value_is_that_of_the_images_as_they_are():
    truth, predicted, scores, ignore = example()
    values = bootstrap.distribution(truth, predicted, scores, ignore, resamples=120)
    assert all(len(row) == 121 for row in values.values())
    for name, value in direct(truth, predicted, scores, ignore).items():
        assert values[name][0] == pytest.approx(value, abs=1e-6)


def test_the_seed_decides_and_every_image_count_is_drawn():
    weights = [np.concatenate(list(bootstrap.weightings(40, 70, seed))) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    assert weights[0].shape == (2 * bootstrap.CHUNK, 40)
    np.testing.assert_array_equal(weights[0][0], 1)
    np.testing.assert_array_equal(weights[0].sum(axis=1), 40)


def test_a_run_cannot_be_told_from_itself_and_can_from_a_far_better_one():
    truth, predicted, scores, _ = example(images=400)
    own = bootstrap.distribution(truth, predicted, scores, resamples=200)
    perfect = bootstrap.distribution(truth, truth, truth.astype(np.float32), resamples=200)
    same = bootstrap.interval(own["O-F1"] - own["O-F1"])
    assert same.low <= 0.0 <= same.high
    better = bootstrap.interval(perfect["O-F1"] - own["O-F1"])
    assert 0.0 < better.low < better.value < better.high


def test_an_interval_narrows_with_more_images():
    widths = []
    for images in (50, 800):
        truth, predicted, scores, _ = example(images=images)
        found = bootstrap.interval(bootstrap.distribution(truth, predicted, scores, resamples=200)["O-F1"])
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_an_interval_holds_its_value_and_ends_where_the_metric_does():
    rng = np.random.default_rng(0)
    nearly_all_right = np.concatenate([[0.99], np.minimum(rng.normal(0.985, 0.01, 500), 1.0)])
    found = bootstrap.interval(nearly_all_right, 0.0)
    assert found.low < 0.99 < found.high == 1.0
    assert bootstrap.interval(1 - nearly_all_right, 0.0).low == 0.0
    assert bootstrap.interval(nearly_all_right - 1).low < -0.02, "a difference"


def test_rows_that_differ_in_few_resamples_alone_are_not_told_apart():
    """Moved so that their mean is the value, the middle 95 %, which are alike, would all lie beside it."""
    first = np.ones(1001)
    second = first.copy()
    second[1:11] = 0.7
    for one, other in ((first, second), (second, first)):
        (found,) = significance.differences({"a": {"C-P": one}, "b": {"C-P": other}}, ["C-P"])
        assert found.value == 0.0
        assert not found.distinguishable
        assert found.low <= 0.0 <= found.high
    assert bootstrap.interval(second) == bootstrap.Interval(1.0, 1.0, 1.0)


def test_the_interval_holds_the_value_where_resamples_miss_rare_classes():
    rng = np.random.default_rng(0)
    truth = rng.random((200, 150)) < 0.006
    truth[np.arange(150), np.arange(150)] = True
    scores = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    values = bootstrap.distribution(truth, metrics.top_k(scores, 3), scores, resamples=200)["mAP"]
    assert values[1:].mean() > values[0] + 0.02
    interval = bootstrap.interval(values)
    assert interval.low < values[0] < interval.high
