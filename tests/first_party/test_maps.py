"""Feature maps of timm's and torchvision's networks: those of any number of pictures, in torch as in ONNX."""

import pytest
import torch
from bench_backbones.maps import BeforePooling, TimmMaps
from torch import nn

from bench.errors import ModelError
from bench.onnx.files import write_onnx
from bench.onnx.sessions import open_session


class Convolution(nn.Module):
    """A network of one layer: its map, as timm's transformers give it as tokens, or pooled as torchvision's do."""

    num_features, num_prefix_tokens = 4, 1

    def __init__(self):
        super().__init__()
        self.layer, self.avgpool = nn.Conv2d(3, 4, 4, stride=4), nn.AdaptiveAvgPool2d(1)

    def forward_features(self, pixels):
        tokens = self.layer(pixels).flatten(2).transpose(1, 2)
        return torch.cat((tokens[:, :1], tokens), dim=1)

    def forward(self, pixels):
        return self.avgpool(self.layer(pixels)).flatten(1)


@pytest.mark.parametrize("make", [TimmMaps, lambda network: BeforePooling(network, 8)])
def test_maps_are_written_as_onnx_for_any_number_of_pictures(tmp_path, make):
    network = Convolution().eval()
    maps = make(network)
    write_onnx(maps, (torch.zeros(2, 3, 8, 8),), ["pixels"], ["features"], tmp_path / "maps.onnx")
    pixels = torch.rand(3, 3, 8, 8)
    (found,) = open_session(tmp_path / "maps.onnx").run(None, {"pixels": pixels.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), network.layer(pixels))
    torch.testing.assert_close(maps(pixels), network.layer(pixels))


def test_a_network_of_several_last_maps_has_none():
    several = type("Several", (nn.Module,), {"forward_features": lambda self, pixels: [pixels, pixels]})()
    with pytest.raises(ModelError, match="no single last map"):
        TimmMaps(several)(torch.zeros(1, 3, 8, 8))
