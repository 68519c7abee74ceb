"""Query2Label reads, for each label, what belongs to the place that the label is about."""

import numpy as np
import pytest
import torch
from bench_models.label_queries import LabelQueries, averages, sine_encoding
from example_learning import learnt, mean_ap, overall_f1, prior_f1, scores_of
from example_models import make

from bench import ModelRequest, UsageError, plugins
from bench.options import resolve

FAST = {"learning_rates": "1e-3", "width": 32, "epochs": 30, "batch_size": 128}


def bound(images, labels=6, side=3, seed=0):
    """Kind l stands at some place, and the image has label l where sign l of that place, of all signs, is positive."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((images, 2 * labels, side * side))
    maps[:, labels:] = rng.choice([-1, 1], p=[0.55, 0.45], size=(images, labels, side * side))
    truth = np.zeros((images, labels), dtype=bool)
    for image in range(images):
        places = rng.permutation(side * side)[:labels]
        maps[image, np.arange(labels), places] = 1
        truth[image] = maps[image, labels + np.arange(labels), places] > 0
    maps += 0.1 * rng.normal(size=maps.shape)
    return maps.reshape(images, 2 * labels, side, side).astype(np.float16), truth


def test_a_query_for_each_label_beats_one_for_all_and_the_most_frequent_labels():
    train, (values, truth) = bound(600), bound(300, seed=1)
    scores = scores_of(learnt("query2label", *train, **FAST), values)
    shared = scores_of(learnt("query2label", *train, **FAST, queries="shared"), values)
    assert mean_ap(scores, truth) > mean_ap(shared, truth) + 0.05
    assert overall_f1(scores, truth, 3) > overall_f1(shared, truth, 3)
    assert overall_f1(scores, truth, 3) > prior_f1(train[1], truth, 3) + 0.2


def scattered(images, labels=8, side=3, seed=0):
    """Each label is a pattern at one place, the first labels are the most frequent; weak noise."""
    patterns = np.random.default_rng(9).normal(size=(labels, 24))
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.7, 0.15, labels)
    maps = 0.5 * rng.normal(size=(images, 24, side * side))
    for image, label in zip(*truth.nonzero(), strict=True):
        maps[image, :, rng.integers(side * side)] += 2 * patterns[label]
    return maps.reshape(images, 24, side, side).astype(np.float16), truth


def test_as_it_is_set_it_learns_from_126_images():
    train, (values, truth) = scattered(126), scattered(300, seed=1)
    scores = scores_of(learnt("query2label", *train, 3, width=32, epochs=25), values)
    assert overall_f1(scores, truth, 3) > prior_f1(train[1], truth, 3) + 0.05


def test_a_map_that_is_small_enough_is_looked_at_as_it_is():
    options = resolve(plugins.installed().model("query2label").spec.options, {"width": "8"}, "query2label")
    layers = LabelQueries(ModelRequest(options, 6, ("a", "b"), (1, 1), 0, (6, 3, 4))).eval()
    maps = torch.randn(2, 6, 3, 4)
    whole = layers(maps)
    layers.averaged = True
    torch.testing.assert_close(layers(maps), whole)


def test_a_shared_query_ranks_labels_all_the_same_through_their_own_last_layer():
    spec = plugins.installed().model("query2label").spec
    options = resolve(spec.options, {"queries": "shared"}, "query2label")
    model = spec.build(ModelRequest(options, 6, ("a", "b", "c"), (1, 1, 1), 0, (6, 2, 2)))
    assert model.layers.layers.queries.shape == (1, 128)
    assert model(torch.randn(4, 6, 2, 2)).shape == (4, 3)


@pytest.mark.parametrize("side", [5, 8, 12, 16])
def test_a_larger_map_is_averaged_to_eight_places_a_side_as_pooling_does(side):
    maps, wanted = torch.randn(2, 3, side, side + 1), (min(side, 8), min(side + 1, 8))
    rows, columns = averages(side, wanted[0]), averages(side + 1, wanted[1])
    torch.testing.assert_close(rows @ maps @ columns.T, torch.nn.functional.adaptive_avg_pool2d(maps, wanted))


def test_no_two_places_have_the_same_encoding():
    where = sine_encoding(16, 5, 7)
    assert where.shape == (35, 16)
    assert len(torch.unique(where.round(decimals=4), dim=0)) == 35


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(UsageError, match=r"width=10: allowed: multiples of heads=4"):
        make("query2label", width="10")
