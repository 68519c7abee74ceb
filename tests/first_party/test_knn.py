"""Nearest neighbours: how they vote, how many do, and what is stored of it."""

import numpy as np
import pytest
import torch
from bench_models.neighbours import COUNTS, WITHOUT_VALIDATION
from example_fits import fitted, scored
from example_models import make
from safetensors.torch import load, save
from sklearn.metrics import average_precision_score

from bench.model import train

SIZES = {"dimensions": 20, "counts": (1,) * 6}


def draw(images, noise, rng):
    """Six clusters, each with labels of its own that ``noise`` of the pairs do not keep."""
    which = rng.integers(6, size=images)
    values = np.eye(20)[which] + 0.4 * rng.normal(size=(images, 20))
    truth = (np.arange(6) == which[:, None]) ^ (rng.random((images, 6)) < noise)
    return values.astype(np.float32), truth


def test_nearest_neighbours_vote_by_cosine():
    model = make("knn", dimensions=2, counts=(1, 1), neighbours="2")
    model.fit(np.array([[1, 0], [2, 0.0], [0, 3]], dtype=np.float32), np.array([[1, 0], [0, 1], [1, 1]], dtype=bool))
    scores = model(torch.tensor([[5.0, 0.0]]))
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.5]]))


def test_copies_of_one_image_share_their_labels_whichever_of_them_is_nearest():
    """Ties are broken otherwise by torch and ONNX, and by batch size."""
    rng = np.random.default_rng(0)
    values, truth = rng.normal(size=(12, 4)).astype(np.float32), rng.random((12, 2)) < 0.5
    values[:6], truth[:6] = values[0], [[1, 0], [1, 0], [1, 0], [0, 1], [1, 1], [0, 0]]
    ignore = np.zeros_like(truth)
    ignore[1:6] = True
    for ignored, means in ((None, [4 / 6, 2 / 6]), (ignore, [1.0, 0.0])):
        for rows in (np.arange(12), np.arange(12)[::-1]):
            model = make("knn", dimensions=4, counts=(1, 1), neighbours="3")
            model.fit(values[rows], truth[rows], None if ignored is None else ignored[rows])
            torch.testing.assert_close(model(torch.from_numpy(values[:1])), torch.tensor([means]))


@pytest.mark.parametrize("name", ["knn", "metric-learning"])
def test_as_many_vote_as_is_best_on_the_validation_part(name):
    rng = np.random.default_rng(0)
    parts = [draw(images, 0.15, rng) for images in (300, 200, 600)]
    model = fitted(make(name, **SIZES), *parts[0], parts[1])
    by_hand = {count: fitted(make(name, neighbours=str(count), **SIZES), *parts[0]) for count in COUNTS}

    def precision(one, part):
        return average_precision_score(part[1].ravel(), scored(one, part[0]).ravel())

    assert model.neighbours == max(COUNTS, key=lambda count: precision(by_hand[count], parts[1]))
    assert model.neighbours not in {COUNTS[0], WITHOUT_VALIDATION}
    assert precision(model, parts[2]) > precision(by_hand[COUNTS[0]], parts[2]) + 0.03


def test_how_many_vote_is_stored_with_the_weights_and_older_weights_vote_as_their_option_says():
    rng = np.random.default_rng(0)
    parts = [draw(images, 0.3, rng) for images in (300, 200, 50)]
    model = fitted(make("knn", **SIZES), *parts[0], parts[1], k=1)
    content = train.save_weights(model)
    restored = make("knn", **SIZES)
    assert restored.neighbours != model.neighbours
    train.load_weights(restored, content)
    np.testing.assert_array_equal(scored(restored, parts[2][0]), scored(model, parts[2][0]))
    older = make("knn", neighbours="7", **SIZES)
    train.load_weights(older, save({name: part for name, part in load(content).items() if name != "count"}))
    assert older.neighbours == 7
