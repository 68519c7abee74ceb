"""Preprocessing as timm and torchvision have it: the same pixels as their own transforms give."""

import numpy as np
import pytest
from bench_backbones import scaling
from bench_backbones.scaling import Usual, choose
from bench_backbones.torchvision_models import usual
from PIL import Image

from bench.data.preprocess import preprocess
from bench.options import resolve

UNTYPED = resolve(scaling.OPTIONS, {}, "scaling")
SHAPES = [(300, 400), (401, 299), (256, 256), (60, 500), (33, 31)]


def picture(shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("side", "crop_pct", "crop_mode", "interpolation"),
    [
        (224, 0.875, "center", "bicubic"),
        (260, 0.89, "center", "bicubic"),
        (224, 0.9, "center", "bilinear"),
        (288, 0.95, "center", "bicubic"),
        (96, 1.0, "center", "bicubic"),
        (224, 0.965, "center", "nearest"),
        (224, 1.0, "squash", "bicubic"),
        (96, 1.0, "squash", "bilinear"),
    ],
)
def test_pixels_are_those_of_timms_own_transform(shape, side, crop_pct, crop_mode, interpolation):
    from timm.data import create_transform

    values = {
        "input_size": (3, side, side),
        "crop_pct": crop_pct,
        "crop_mode": crop_mode,
        "interpolation": interpolation,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.3, 0.4),
    }
    ours = preprocess(picture(shape), choose(UNTYPED, None, Usual(values, "a test", known=True)).preprocessing)
    theirs = create_transform(**values, is_training=False)(Image.fromarray(picture(shape)))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "swin_v2_t", "efficientnet_b0", "vit_b_16"])
def test_pixels_are_those_of_the_transforms_that_torchvisions_weights_carry(name):
    from torchvision import models

    for entry in models.get_model_weights(name):
        ours = preprocess(picture((300, 401)), choose(UNTYPED, None, usual(entry, known=True)).preprocessing)
        theirs = entry.transforms()(Image.fromarray(picture((300, 401))))
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_every_one_of_torchvisions_weights_can_be_scaled_for():
    from torchvision import models

    for name in models.list_models(module=models):
        for entry in models.get_model_weights(name):
            transform = entry.transforms()
            found = choose(UNTYPED, None, usual(entry, known=True)).preprocessing
            assert [found.size] == transform.crop_size
            assert [found.resize] == transform.resize_size


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_scale_pictures_once_more_with_torchvisions_weights_get_what_those_saw(name):
    import torch
    from torchvision import models

    for entry in models.get_model_weights(name):
        ours = preprocess(picture((300, 401)), choose(UNTYPED, None, usual(entry, known=True)).preprocessing)
        with torch.device("meta"):
            network = models.get_model(name, transform_input=True, init_weights=False)
        theirs = network._transform_input(entry.transforms()(Image.fromarray(picture((300, 401))))[None])
        np.testing.assert_allclose(ours[None], theirs.numpy(), rtol=1e-4, atol=1e-4)
