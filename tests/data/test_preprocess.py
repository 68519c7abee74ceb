import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from bench.data.preprocess import preprocess, resize_and_crop, seen_part
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


@pytest.mark.parametrize("shape", [(100, 200), (333, 250), (64, 64)])
def test_the_part_seen_is_the_part_cut(shape):
    """Pixels that hold their own place: the corners of what is cut lie where ``seen_part`` says."""
    height, width = shape
    place = np.zeros((height, width, 3), dtype=np.uint8)
    place[..., 0] = np.linspace(0, 255, height)[:, None]
    place[..., 1] = np.linspace(0, 255, width)
    preprocessing = Preprocessing(size=96, resize=128)
    left, top, right, bottom = seen_part(height, width, preprocessing)
    cut = resize_and_crop(place, preprocessing).astype(float) / 255
    assert [cut[0, 0, 1], cut[0, 0, 0], cut[-1, -1, 1], cut[-1, -1, 0]] == pytest.approx(
        [left, top, right, bottom], abs=0.02
    )
