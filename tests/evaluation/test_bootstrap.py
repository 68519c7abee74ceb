import numpy as np
import pytest

from bench.evaluation import bootstrap, metrics, resample


def example(images=60, labels=7, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < 0.3
    scores = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    if ties:
        scores = np.round(scores)
    ignore = (rng.random(truth.shape) < 0.1) & ~truth
    return truth, metrics.top_k(scores, 2), scores, ignore


def direct(truth, predicted, scores, ignore, kind="non_interpolated"):
    counts = metrics.class_counts(truth, predicted, ignore)
    ap = metrics.average_precisions(truth, scores, (kind,), ignore)[kind]
    c, o = metrics.macro(counts), metrics.micro(counts)
    i = metrics.macro(metrics.image_counts(truth, predicted, ignore))
    at_10 = metrics.map_at_k_image(truth, scores, 10, ignore)
    means = {
        f"{letter}-{name}": value
        for letter, triple in (("C", c), ("O", o), ("I", i))
        for name, value in zip(("P", "R", "F1"), triple, strict=True)
    }
    return means | {"MAP@10_image": metrics.mean_defined(at_10), "mAP": metrics.mean_defined(ap)}


@pytest.mark.parametrize("kind", ["non_interpolated", "all_point", "11_point"])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_give_what_repeating_the_images_gives(ties, masked, kind):
    truth, predicted, scores, ignore = example(ties=ties)
    mask = ignore if masked else None
    (weights,) = bootstrap.weightings(len(truth), 5, seed=3)
    found = bootstrap.measured(resample.prepare(truth, predicted, scores, mask, kind)(weights))
    for row, weight in enumerate(weights):
        rows = np.repeat(np.arange(len(truth)), weight.astype(int))
        expected = direct(truth[rows], predicted[rows], scores[rows], None if mask is None else mask[rows], kind)
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


def test_the_interval_holds_the_value_where_resamples_miss_rare_classes():
    rng = np.random.default_rng(0)
    truth = rng.random((200, 150)) < 0.006
    truth[np.arange(150), np.arange(150)] = True
    scores = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    values = bootstrap.distribution(truth, metrics.top_k(scores, 3), scores, resamples=200)["mAP"]
    assert values[1:].mean() > values[0] + 0.02
    interval = bootstrap.interval(values)
    assert interval.low < values[0] < interval.high
