"""INRIA's parts: the pyramid knows where something is, the regions find what is small; Fisher vectors, SIFT by hand."""

import math

import numpy as np
import pytest
import torch
from bench_backbones.sift import DenseSift
from bench_models.fisher import FisherVectors, part_masks
from bench_models.picture_and_regions import pyramid, regions
from example_backbones import built, outputs
from example_learning import learnt, mean_ap, overall_f1, prior_f1, scores_of

from bench import UsageError
from bench.onnx.files import write_onnx
from bench.onnx.sessions import open_session

CHANNELS, SIDE = 8, 8


def above_or_below(images, labels=4, seed=0):
    """Every image has every texture: where it has the label, in its upper half, else in the lower one."""
    textures = 2 * np.random.default_rng(9).normal(size=(labels, CHANNELS))
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.5, 0.25, labels)
    maps = 0.5 * rng.normal(size=(images, CHANNELS, SIDE, SIDE))
    for image, label in np.ndindex(truth.shape):
        rows = rng.choice(SIDE // 2, 4) + (0 if truth[image, label] else SIDE // 2)
        maps[image, :, rows, rng.integers(0, SIDE, 4)] = textures[label] + 0.3 * rng.normal(size=(4, CHANNELS))
    return maps.astype(np.float16), truth


def small_objects(images, labels=5, seed=0):
    """A label is a texture of 2 x 2 places; everywhere else is noise half as strong."""
    textures = 2 * np.random.default_rng(9).normal(size=(labels, CHANNELS))
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < np.linspace(0.5, 0.2, labels)
    truth[np.arange(images), rng.integers(labels, size=images)] = True
    maps = rng.normal(size=(images, CHANNELS, SIDE, SIDE))
    for image, label in zip(*truth.nonzero(), strict=True):
        top, left = rng.integers(0, SIDE - 2, 2)
        noise = 0.3 * rng.normal(size=(CHANNELS, 2, 2))
        maps[image, :, top : top + 2, left : left + 2] = textures[label][:, None, None] + noise
    return maps.astype(np.float16), truth


def test_the_pyramid_beats_the_whole_picture_and_the_most_frequent_labels_where_a_label_is_a_place():
    train, (values, truth) = above_or_below(400), above_or_below(200, seed=1)
    scores = scores_of(learnt("inria", *train, regions="no", gaussians=4), values)
    without = scores_of(learnt("inria", *train, regions="no", gaussians=4, pyramid="no"), values)
    assert mean_ap(scores, truth) > mean_ap(without, truth) + 0.15
    assert overall_f1(scores, truth, 2) > overall_f1(without, truth, 2) + 0.05
    assert overall_f1(scores, truth, 2) > prior_f1(train[1], truth, 2) + 0.05


def test_the_best_region_beats_the_picture_alone_and_the_most_frequent_labels_where_objects_are_small():
    train, (values, truth) = small_objects(300), small_objects(200, seed=1)
    model = learnt("inria", *train, gaussians=4)
    scores, without = (scores_of(one, values) for one in (model, learnt("inria", *train, gaussians=4, regions="no")))
    assert model.share > 0
    assert mean_ap(scores, truth) > mean_ap(without, truth) + 0.07
    assert overall_f1(scores, truth, 2) > overall_f1(without, truth, 2) + 0.05
    assert overall_f1(scores, truth, 2) > prior_f1(train[1], truth, 2) + 0.05


def test_a_fisher_vector_is_the_gradient_of_the_log_likelihood_of_its_places():
    torch.manual_seed(0)
    encoder = FisherVectors((3, 2, 2), gaussians=2, components=3, parts=((0, 1, 0, 1), (0, 0.5, 0, 1)))
    encoder.means.copy_(torch.randn(2, 3))
    encoder.deviations.copy_(0.5 + torch.rand(2, 3))
    encoder.shares.copy_(torch.tensor([0.3, 0.7]))
    maps = torch.randn(1, 3, 2, 2)
    for part, places in ((0, maps[0].flatten(1).T), (1, maps[0, :, 0].T)):
        means, deviations = (tensor.clone().requires_grad_() for tensor in (encoder.means, encoder.deviations))
        mixture = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(encoder.shares),
            torch.distributions.Independent(torch.distributions.Normal(means, deviations), 1),
        )
        mixture.log_prob(places).mean().backward()
        shares = encoder.shares[:, None]
        by_mean = means.grad * encoder.deviations / shares.sqrt()
        by_deviation = deviations.grad * encoder.deviations / (2 * shares).sqrt()
        expected = torch.stack([by_mean, by_deviation], dim=1).flatten()
        rooted = expected.sign() * expected.abs().sqrt()
        torch.testing.assert_close(encoder(maps)[0, part], rooted / rooted.norm(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sides", [(8, 8), (3, 5), (1, 1)])
def test_every_part_of_a_map_has_a_place_and_weights_that_add_up_to_one(sides):
    masks = part_masks(*sides, (*pyramid(), *regions()))
    assert masks.shape == (7 + 4 + 9 + 16, sides[0] * sides[1])
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(36))


def ramp(angle, side=32):
    """A picture whose grey rises evenly in a direction, ``angle`` degrees from rightwards on, through downwards."""
    down, across = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    grey = 0.5 + 0.01 * (across * math.cos(math.radians(angle)) + down * math.sin(math.radians(angle)))
    return grey.expand(1, 3, -1, -1)


@pytest.mark.parametrize("orientation", range(8))
def test_a_ramp_is_of_its_own_orientation_in_every_cell(orientation):
    found = DenseSift(step=4, cell=4, as_map=True)(ramp(45 * orientation))[0, :, 2, 2].reshape(16, 8)
    assert (found.argmax(dim=1) == orientation).all()
    assert (found.sum(dim=1) < 1.2 * found[:, orientation]).all()


def test_an_edge_is_in_the_cells_that_it_crosses():
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[:, :, :, 14:] = 1.0
    cells = DenseSift(step=1, cell=4, as_map=True)(pixels)[0, :, 0, 0].reshape(4, 4, 8)
    assert (cells.sum(dim=2)[:, 3] > 10 * cells.sum(dim=2)[:, 1]).all()
    assert (cells[:, 3].argmax(dim=1) == 0).all()


def test_descriptors_do_not_change_with_contrast_and_are_small_where_a_picture_is_flat():
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sift = DenseSift(step=8, cell=4, as_map=True)
    torch.testing.assert_close(sift(pixels), sift(0.5 * pixels + 0.3), rtol=1e-3, atol=1e-4)
    assert sift(torch.full((1, 3, 32, 32), 0.5)).norm() < 1e-3


def test_a_picture_without_any_gradient_has_finite_descriptors_from_onnx_too(tmp_path):
    sift, flat = DenseSift(step=8, cell=4, as_map=True).eval(), torch.full((2, 3, 32, 32), 0.4)
    write_onnx(sift, (flat,), ["pixels"], ["features"], tmp_path / "sift.onnx")
    (found,) = open_session(tmp_path / "sift.onnx").run(None, {"pixels": flat.numpy()})
    np.testing.assert_allclose(found, sift(flat).numpy(), atol=1e-6)


def test_the_backbone_gives_a_grid_or_its_mean():
    maps, vector = built("dense-sift", features="map", size="64"), built("dense-sift", size="64")
    assert maps.feature_map == (128, 7, 7)
    torch.testing.assert_close(outputs(maps).mean(dim=(2, 3)), outputs(vector))


def test_a_picture_smaller_than_a_descriptor_is_refused():
    with pytest.raises(UsageError, match=r"backbone.size=8, allowed: from 16, 4 cells"):
        built("dense-sift", size="8")
