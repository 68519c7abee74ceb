"""A graph of regions labels images by their parts, where whole images are mixtures that no other one shares."""

import numpy as np
import torch
from example_fits import f1_of, fitted
from example_models import batch

from bench import ModelRequest, plugins
from bench.options import resolve


def graph(truth, **options):
    spec = plugins.installed().model("multi-edge-graph").spec
    labels = tuple(map(str, range(truth.shape[1])))
    return spec.build(
        ModelRequest(resolve(spec.options, options, ""), 8, labels, tuple(truth.sum(axis=0)), 0, (8, 4, 4))
    )


def quarters(images, rng, labels=8):
    """Two labels an image, each a pattern that fills one quarter; the rest is noise."""
    patterns = np.random.default_rng(7).normal(size=(labels, 8))
    truth, maps = np.zeros((images, labels), dtype=bool), rng.normal(size=(images, 8, 4, 4))
    for image in range(images):
        for label, place in zip(rng.choice(labels, 2, replace=False), rng.choice(4, 2, replace=False), strict=True):
            rows, columns = (slice(2 * part, 2 * part + 2) for part in divmod(place, 2))
            truth[image, label] = True
            maps[image, :, rows, columns] = patterns[label][:, None, None] + 0.3 * rng.normal(size=(8, 2, 2))
    return maps.astype(np.float32), truth


def test_bags_of_regions_beat_one_region_and_the_prior_where_labels_fill_a_part():
    rng = np.random.default_rng(0)
    train, test = quarters(300, rng), quarters(200, rng)
    found = {grid: f1_of(fitted(graph(train[1], grid=grid, edges="15"), *train), *test) for grid in ("1", "2")}
    share = np.tile(train[1].mean(axis=0), (200, 1))
    chosen = np.argsort(-share, axis=1)[:, :2]
    prior = np.take_along_axis(test[1], chosen, axis=1).mean()
    assert found["2"] > found["1"] + 0.05
    assert found["2"] > prior + 0.2


def test_a_label_of_an_image_is_the_maximum_over_its_regions_and_no_region_has_another():
    values, truth = quarters(60, np.random.default_rng(0))
    model = fitted(graph(truth, edges="10"), values, truth)
    bags = model.tags.unflatten(0, (-1, 5))
    torch.testing.assert_close(bags.amax(dim=1), torch.from_numpy(truth).float())


def test_propagation_finds_the_region_that_holds_a_label():
    rng = np.random.default_rng(0)
    values, truth = quarters(300, rng)
    plain, spread = (fitted(graph(truth, rounds=rounds, edges="15"), values, truth) for rounds in ("0", "3"))
    assert (plain.tags.unflatten(0, (-1, 5))[:, 1:].amin(dim=1) == torch.from_numpy(truth).float()).all()
    tags = spread.tags.unflatten(0, (-1, 5))[:, 1:]
    assert (tags.amin(dim=1)[torch.from_numpy(truth)] < 0.5).float().mean() > 0.9


def test_an_ignored_pair_gives_no_tag():
    _, truth = batch(20)
    values = np.random.default_rng(0).normal(size=(20, 8, 4, 4)).astype(np.float32)
    model = graph(truth)
    model.fit(values, truth, truth)
    assert not model.tags.any()
