"""HCP and the windows that it looks at: an object that fills a window is lost in the whole picture."""

import numpy as np
import pytest
import torch
from bench_backbones.windows import Windows, boxes
from example_backbones import built, outputs
from example_learning import learnt, mean_ap, overall_f1, prior_f1, scores_of

from bench import UsageError


def windows_of_scenes(images, labels=6, channels=12, windows=14, seed=0):
    """The whole picture first, whose features are the mean of its windows and noise; each label fills one window."""
    patterns = np.random.default_rng(9).normal(size=(labels, channels))
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.5, 0.2, labels)
    truth[np.arange(images), rng.integers(labels, size=images)] = True
    maps = rng.normal(size=(images, channels, windows))
    for image in range(images):
        for place, label in zip(1 + rng.permutation(windows - 1), truth[image].nonzero()[0], strict=False):
            maps[image, :, place] = 2.0 * patterns[label] + 0.3 * rng.normal(size=channels)
    maps[:, :, 0] = maps[:, :, 1:].mean(axis=2) + 0.3 * rng.normal(size=(images, channels))
    return maps[:, :, :, None].astype(np.float16), truth


def test_the_best_window_beats_the_whole_picture_and_the_most_frequent_labels():
    (values, truth), (test_values, test_truth) = windows_of_scenes(600), windows_of_scenes(300, seed=1)
    scores = scores_of(learnt("hcp", values, truth, dropout=0.2), test_values)
    whole = scores_of(learnt("hcp", values[:, :, :1], truth, dropout=0.2), test_values[:, :, :1])
    assert mean_ap(scores, test_truth) > mean_ap(whole, test_truth) + 0.1
    assert overall_f1(scores, test_truth, 3) > overall_f1(whole, test_truth, 3) + 0.05
    assert overall_f1(scores, test_truth, 3) > prior_f1(truth, test_truth, 3) + 0.1


def test_windows_are_the_whole_picture_and_squares_that_cover_it():
    found = boxes(128, 3)
    assert len(found) == 1 + 4 + 9
    assert found[0] == (0, 0, 128)
    for grid, side in ((4, 85), (9, 64)):
        squares = [box for box in found if box[2] == side]
        assert len(squares) == grid
        seen = np.zeros((128, 128), dtype=bool)
        for top, left, _ in squares:
            assert 0 <= top <= 128 - side
            assert 0 <= left <= 128 - side
            seen[top : top + side, left : left + side] = True
        assert seen.all()


def test_each_window_is_what_the_network_says_of_that_part():
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    pixels = torch.randn(2, 3, 16, 16)
    maps = Windows(network, boxes(16, 3), 8, as_map=True)(pixels)
    assert maps.shape == (2, 3, 14, 1)
    torch.testing.assert_close(maps[:, :, 0, 0], pixels.mean(dim=(2, 3)))
    torch.testing.assert_close(maps[:, :, 5, 0], pixels[:, :, :8, :8].mean(dim=(2, 3)))
    torch.testing.assert_close(maps[:, :, 13, 0], pixels[:, :, 8:, 8:].mean(dim=(2, 3)))
    largest = Windows(network, boxes(16, 3), 8, as_map=False)(pixels)
    torch.testing.assert_close(largest, maps.amax(dim=(2, 3)))


def test_the_backbone_reads_pictures_at_twice_the_size_and_keeps_the_networks_weights():
    plain, crops = built("digits-cnn"), built("crops/digits-cnn", features="map")
    assert crops.weights_hash == plain.weights_hash
    assert crops.preprocessing.size == 2 * plain.preprocessing.size
    assert crops.feature_map == (128, 14, 1)
    assert outputs(crops).shape == (1, 128, 14, 1)
    assert built("crops/digits-cnn", features="map", grid="1").feature_map == (128, 1, 1)
    assert outputs(built("crops/timm/test_resnet", init="random", size="64", grid="2")).shape == (1, 96)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crops/vgg61", "no backbone to look at windows with 'vgg61'; did you mean 'vgg16'"),
        ("crops/timm", "backbone 'crops/timm': allowed: crops/vgg16, crops/torchvision/NAME, crops/timm/NAME"),
        ("crops/digits-cnn/2", "allowed: .*crops/digits-cnn"),
    ],
)
def test_a_network_that_there_is_not_is_refused(name, words):
    with pytest.raises(UsageError, match=words):
        built(name)
