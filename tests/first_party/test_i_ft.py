"""I-FT: the squared loss by hand, and a network that learns what its frozen features do not hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bench_models.i_ft import squared_loss
from example_learning import learnt, mean_ap, overall_f1, prior_f1, scores_of
from example_models import make

from bench import Backbone, Preprocessing, Split
from bench.data.images import ArrayImages
from bench.model import features, finetune

GENERATOR = torch.Generator()


def patches(images, labels=5, side=16, seed=0):
    """A label is a colour of its own, of a 3 x 3 patch on grey noise; the labels of an image are a split's truth."""
    colours = np.array([[220, 60, 60], [60, 220, 60], [60, 60, 220], [220, 220, 60], [220, 60, 220]])
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.5, 0.25, labels)
    truth[np.arange(images), rng.integers(labels, size=images)] = True
    pixels = rng.integers(90, 170, (images, side, side, 3))
    for image, label in zip(*truth.nonzero(), strict=True):
        top, left = rng.integers(0, side - 3, 2)
        pixels[image, top : top + 3, left : left + 3] = colours[label]
    names = tuple("abcde"[:labels])
    ids, pictures = tuple(map(str, range(images))), ArrayImages(pixels.astype(np.uint8), "patches")
    return Split("patches", "made up", ids, names, truth, pictures)


def untrained():
    """A network of six channels with random weights: too few of them to tell the colours apart by chance."""
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
    scaling = Preprocessing(size=16, resize=16, crop="squash", mean=(0.5,) * 3, std=(0.2,) * 3)
    return Backbone("small", torch.nn.Sequential(*layers).eval(), 6, scaling, "w", "small", engine="torch")


def scores_with(backbone, train, test, cache):
    values, held = (
        features.extract(split, split.name + split.ids[-1], backbone, cache).values for split in (train, test)
    )
    return scores_of(learnt("i-ft", values, train.truth, dropout=0), held)


def test_fine_tuning_beats_the_frozen_network_and_the_most_frequent_labels(tmp_path):
    train, test, frozen = patches(400), patches(300, seed=1), untrained()
    head = make("i-ft", dimensions=6, counts=(1,) * 5, dropout="0")
    tuned = finetune.tune(frozen, head, train, train.truth, epochs=8, seed=0)
    scores, without = (scores_with(backbone, train, test, tmp_path) for backbone in (tuned, frozen))
    assert mean_ap(scores, test.truth) > mean_ap(without, test.truth) + 0.05
    assert overall_f1(scores, test.truth, 2) > overall_f1(without, test.truth, 2)
    assert overall_f1(scores, test.truth, 2) > prior_f1(train.truth, test.truth, 2) + 0.05


def test_an_image_costs_the_squared_distance_of_its_softmax_from_its_labels_distribution():
    logits, truth = torch.tensor([[0.0, 0.0, np.log(2.0)]]), torch.tensor([[True, False, True]])
    expected = 3 * ((0.25 - 0.5) ** 2 + 0.25**2 + (0.5 - 0.5) ** 2)
    assert squared_loss(logits, truth, GENERATOR).item() == pytest.approx(expected)


def test_an_image_without_labels_adds_nothing():
    logits, truth = torch.randn(3, 4), torch.eye(3, 4).bool()
    expected = squared_loss(logits, truth, GENERATOR)
    with_one = torch.cat([logits, torch.randn(1, 4)]), torch.cat([truth, torch.zeros(1, 4, dtype=torch.bool)])
    torch.testing.assert_close(squared_loss(*with_one, GENERATOR), expected)
    assert squared_loss(with_one[0][3:], with_one[1][3:], GENERATOR).item() == 0.0


def test_it_is_fine_tuned_where_the_user_says_nothing_and_frozen_where_the_user_says_0():
    from bench import plugins
    from bench.plan import make_plan
    from bench.records import RunRequest

    asked = RunRequest("i-ft", "digit-scenes")
    assert make_plan(asked, plugins.installed()).finetune > 0
    assert make_plan(replace(asked, finetune=0), plugins.installed()).finetune == 0
