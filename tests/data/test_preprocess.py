import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from bench.data.preprocess import preprocess
from bench.records import Preprocessing


@pytest.mark.parametrize("shape", [(300, 400), (401, 299), (256, 256), (60, 500), (17, 16)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_center_crop_equals_torchvisions(shape, interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    chosen = Preprocessing(size=224, resize=256, interpolation=interpolation)
    expected = v2.Compose(
        [
            v2.Resize(256, interpolation=v2.InterpolationMode(interpolation)),
            v2.CenterCrop(224),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(chosen.mean, chosen.std),
        ]
    )(Image.fromarray(pixels))
    ours = preprocess(pixels, chosen)
    assert ours.shape == (3, 224, 224)
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


def test_squash_keeps_the_margins_and_loses_the_aspect_ratio():
    pixels = np.zeros((10, 100, 3), dtype=np.uint8)
    pixels[:, :10] = 255
    chosen = Preprocessing(size=20, resize=20, crop="squash", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    squashed = preprocess(pixels, chosen)
    assert squashed.shape == (3, 20, 20)
    assert squashed[:, :, 0].min() > 0.9
    assert squashed[:, :, -1].max() < 0.1
