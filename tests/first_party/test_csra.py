"""CSRA finds an object that fills one place of the map, which the mean over places drowns in noise."""

import numpy as np
import pytest
import torch
from bench_models.residual_attention import ResidualAttention
from example_learning import learnt, mean_ap, overall_f1, prior_f1, scores_of

from bench import ModelRequest


def small_objects(images, labels=6, channels=12, side=6, seed=0):
    """Each label is a pattern at one place; everywhere else is noise as strong as the patterns."""
    patterns = np.random.default_rng(9).normal(size=(labels, channels))
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.5, 0.2, labels)
    truth[np.arange(images), rng.integers(labels, size=images)] = True
    maps = rng.normal(size=(images, channels, side * side))
    for image in range(images):
        for place, label in zip(rng.permutation(side * side), truth[image].nonzero()[0], strict=False):
            maps[image, :, place] = 1.5 * patterns[label] + 0.3 * rng.normal(size=channels)
    return maps.reshape(images, channels, side, side).astype(np.float16), truth


def layers(heads, weight):
    return ResidualAttention(ModelRequest({"heads": heads, "lambda": weight}, 3, ("a", "b"), (1, 1), 0, (3, 2, 2)))


def test_it_beats_the_mean_over_places_and_the_most_frequent_labels_where_objects_are_small():
    train, (values, truth) = small_objects(600), small_objects(300, seed=1)
    scores = scores_of(learnt("csra", *train), values)
    without = scores_of(learnt("csra", *train, **{"lambda": 0}), values)
    assert mean_ap(scores, truth) > mean_ap(without, truth) + 0.2
    assert overall_f1(scores, truth, 3) > overall_f1(without, truth, 3) + 0.1
    assert overall_f1(scores, truth, 3) > prior_f1(train[1], truth, 3) + 0.1


def test_a_head_is_the_mean_over_places_and_a_mean_weighted_by_the_softmax_of_the_scores():
    module, maps = layers(1, 0.3), torch.randn(2, 3, 2, 2)
    scores = torch.einsum("lc,nchw->nlhw", module.heads.weight[:, :, 0, 0], maps) + module.heads.bias[:, None, None]
    flat = scores.flatten(2)
    expected = flat.mean(dim=2) + 0.3 * (flat.softmax(dim=2) * flat).sum(dim=2)
    torch.testing.assert_close(module(maps), expected)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_where_all_places_are_alike_the_attention_adds_lambda_times_the_score(heads):
    module, maps = layers(heads, 0.5), torch.randn(5, 3, 1, 1).expand(-1, -1, 2, 2)
    torch.testing.assert_close(module(maps), 1.5 * layers_without(module)(maps))


def layers_without(module):
    module_without = layers(len(module.temperatures) + module.has_maximum, 0.0)
    module_without.load_state_dict(module.state_dict())
    return module_without
