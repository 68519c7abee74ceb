"""The last feature map of a network, before it is pooled: a vector for each place of a grid over the picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench import ModelError


class TimmMaps(nn.Module):
    """A timm network up to its last map, (n, channels, height, width); a transformer's tokens on their grid."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the maps. Raises ``ModelError`` where what comes out lies on no square grid."""
        found: torch.Tensor = self.network.forward_features(pixels)
        if not isinstance(found, torch.Tensor) or found.ndim not in {3, 4}:
            raise ModelError("this network has no single last map. Try: --backbone timm/resnet18")
        if found.ndim == 3:
            tokens = found[:, getattr(self.network, "num_prefix_tokens", 0) :]
            side = round(tokens.shape[1] ** 0.5)
            if side * side != tokens.shape[1]:
                raise ModelError("this network's tokens lie on no square grid. Try: --backbone timm/resnet18")
            return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, side, side)
        # Some transformers keep channels last.
        return found if found.shape[1] == self.network.num_features else found.permute(0, 3, 1, 2)


class FeatureMaps(nn.Module):
    """The part ``features`` of a torchvision network, with what its ``forward`` does before it pools."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.rectified = type(network).__name__ == "DenseNet"

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the maps, (n, channels, height, width)."""
        found: torch.Tensor = self.network.features(pixels)
        if hasattr(self.network, "permute"):  # Swin: channels last, then a norm
            return self.network.permute(self.network.norm(found))  # type: ignore[no-any-return]
        return torch.relu(found) if self.rectified else found


class BeforePooling(nn.Module):
    """A torchvision network whose ``avgpool`` and last layer are left out: what enters the pooling, as a map."""

    def __init__(self, network: Any, size: int) -> None:
        super().__init__()
        self.network, self.shape = network, _entering(network, size)
        network.avgpool = nn.Identity()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the maps, (n, channels, height, width)."""
        found: torch.Tensor = self.network(pixels)
        return found.reshape(found.shape[0], *self.shape)


def torchvision_maps(network: Any, variant: str, size: int) -> nn.Module:
    """Return ``network``, its last layer cut off, as a module that gives maps of pictures of ``size`` pixels."""
    if isinstance(getattr(network, "features", None), nn.Module):
        return FeatureMaps(network)
    if isinstance(getattr(network, "avgpool", None), nn.Module):
        return BeforePooling(network, size)
    raise ModelError(
        f"torchvision's {variant} has no last feature map that is known. Try: --backbone torchvision/resnet50"
    )


def _entering(network: Any, size: int) -> tuple[int, ...]:
    seen: list[tuple[int, ...]] = []
    hook = network.avgpool.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[1:])))
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    finally:
        hook.remove()
    return seen[0]
