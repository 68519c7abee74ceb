"""The module behind ``crops``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def boxes(side: int, grid: int) -> tuple[tuple[int, int, int], ...]:
    """Return (top, left, side) in pixels of the whole picture, then of the squares of grids 2 x 2 to grid x grid."""
    found = [(0, 0, side)]
    for count in range(2, grid + 1):
        window = round(2 * side / (count + 1))
        starts = [round(place * (side - window) / (count - 1)) for place in range(count)]
        found += [(top, left, window) for top in starts for left in starts]
    return tuple(found)


class Windows(nn.Module):
    """(n, 3, side, side) pixels -> (n, dimensions, windows, 1), or the maximum over windows, (n, dimensions)."""

    def __init__(self, network: nn.Module, windows: Sequence[tuple[int, int, int]], size: int, *, as_map: bool) -> None:
        super().__init__()
        self.network, self.windows, self.size, self.as_map = network, tuple(windows), size, as_map

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features of every window, resized to the network's side."""
        found = torch.stack([self.network(self._cut(pixels, *window)) for window in self.windows], dim=2)
        return found.unsqueeze(3) if self.as_map else found.amax(dim=2)

    def _cut(self, pixels: torch.Tensor, top: int, left: int, side: int) -> torch.Tensor:
        window = pixels[:, :, top : top + side, left : left + side]
        if side == self.size:
            return window
        if side == 2 * self.size:  # a mean of four: every pixel counts
            return nn.functional.avg_pool2d(window, 2)
        return nn.functional.interpolate(window, (self.size, self.size), mode="bilinear", align_corners=False)
