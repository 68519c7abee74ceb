from functools import partial

import numpy as np
import open_sets
import pytest
from bench_datasets.digit_scenes import cumulated, draw_apart

from bench.data.fingerprint import fingerprint

opened = partial(open_sets.opened, "digit-scenes")


@pytest.fixture(scope="module")
def dataset():
    return opened(train_images=1500)


def test_sources_of_the_splits_are_disjoint_and_are_all_of_the_bundled_digits(monkeypatch):
    # Each digit is replaced by its own number, so that a source can be told from every other.
    from bench_datasets import digits as module
    from sklearn.datasets import load_digits

    images, target = module._bundled()
    assert np.array_equal(images, load_digits().images)
    assert np.array_equal(target, load_digits().target)
    numbers = np.arange(1797, dtype=np.float64)[:, None, None] * np.ones((1, 8, 8))
    monkeypatch.setattr(module, "_bundled", lambda: (numbers, target))
    sources = [
        {round(float(value) * 16) for value in module.digits.__wrapped__(part)[0][:, 0, 0]}
        for part in ("train", "validation", "test")
    ]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 1797


def test_labels_are_many_zipfian_and_about_three_to_an_image(dataset):
    truth = dataset.train.truth
    assert truth.shape[1] == 30
    cardinality = truth.sum(axis=1)
    assert 2.7 < cardinality.mean() < 3.1
    assert cardinality.min() == 1
    assert cardinality.max() >= 9
    counts = np.sort(truth.sum(axis=0))[::-1]
    # Log frequency falls about linearly with log rank over the frequent half.
    slope = np.polyfit(np.log(np.arange(1, 16)), np.log(counts[:15]), 1)[0]
    assert -1.2 < slope < -0.3


def test_companions_depend_on_what_they_accompany(dataset):
    from bench_datasets.digit_scenes import ANCHORS, make_world

    world = make_world(0)
    truth = dataset.train.truth
    anchors = np.flatnonzero(world.companions >= 0)
    assert len(anchors) == ANCHORS
    for anchor in anchors:
        companion = world.companions[anchor]
        with_anchor = truth[truth[:, anchor], companion].mean()
        without = truth[~truth[:, anchor], companion].mean()
        assert with_anchor > 2 * without


def test_another_seed_gives_other_pictures(dataset):
    assert fingerprint(opened(train_images=1500, seed=1).train) != fingerprint(dataset.train)


def test_every_label_of_a_scene_is_painted(dataset):
    for row, layout in enumerate(dataset.test.images.layouts):
        assert {instance.label for instance in layout} == set(np.flatnonzero(dataset.test.truth[row]))


@pytest.mark.slow  # that companions depend on what they accompany is counted above
def test_an_oracle_that_knows_what_goes_together_beats_one_that_takes_labels_alone(monkeypatch):
    from bench_datasets import digit_scenes_oracle

    monkeypatch.setattr(digit_scenes_oracle, "LEARNING_SCENES", 6000)
    measured = digit_scenes_oracle.oracle_f1(seed=0, scenes=1000)
    assert measured["co-occurrence"] > measured["independent"] + 0.05
    assert measured["co-occurrence"] < 1.0


@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_labels_are_drawn_as_numpy_draws_them_without_replacement(number):
    chances = np.random.default_rng(number).random(12) ** 6  # so uneven that draws meet
    chances /= chances.sum()
    ours, numpys = np.random.default_rng(1), np.random.default_rng(1)
    for _ in range(200):
        expected = numpys.choice(12, number, replace=False, p=chances).tolist()
        assert draw_apart(chances, cumulated(chances), number, ours) == expected
    assert ours.random() == numpys.random()
