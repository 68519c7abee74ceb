"""The module behind ``dense-sift``: convolutions alone, so that it is exported and runs where networks do."""

from __future__ import annotations

import math

import torch
from torch import nn

ORIENTATIONS = 8
SHARPNESS = 9
"""Power of the cosine by which a gradient counts for an orientation: neighbours, 45 degrees away, get 4 %."""

LARGEST = 0.2
"""Of a descriptor of unit length, so that one strong edge does not outweigh the rest (Lowe, section 6.1)."""

FLAT = 0.02
"""Length below which a descriptor is not scaled up to one: noise of a flat patch stays small."""


FAINT = 1e-4
"""Length below which a gradient has no direction. A clamp, since ONNX's optimiser takes a smaller addend for zero."""


class DenseSift(nn.Module):
    """(n, 3, side, side) pixels in [0, 1] -> (n, 128, rows, columns), or their mean over places, (n, 128).

    Of a descriptor's 128 numbers, number ``8 * (4 * row + column) + orientation`` is of that cell and orientation.
    Orientations are multiples of 45 degrees from rightwards on, through downwards.
    """

    grey: torch.Tensor
    smooth: torch.Tensor
    directions: torch.Tensor
    weights: torch.Tensor

    def __init__(self, step: int, cell: int, *, as_map: bool) -> None:
        super().__init__()
        self.step, self.cell, self.as_map = step, cell, as_map
        angles = torch.arange(ORIENTATIONS) * (2 * math.pi / ORIENTATIONS)
        # A pixel counts for the cells around it, less the further it is from their middle.
        ramp = 1.0 - (torch.arange(1 - cell, cell).abs() / cell)
        self.register_buffer("grey", torch.tensor([0.299, 0.587, 0.114])[None, :, None, None], persistent=False)
        self.register_buffer("smooth", torch.tensor([0.25, 0.5, 0.25]), persistent=False)
        directions = torch.stack([angles.cos(), angles.sin()], dim=1)[..., None, None]
        self.register_buffer("directions", directions, persistent=False)
        self.register_buffer("weights", ramp / ramp.sum(), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the descriptors."""
        grey = _filtered((pixels * self.grey).sum(dim=1, keepdim=True), self.smooth)
        padded = nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate")
        across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        gradient = torch.cat([across, down], dim=1)
        length = gradient.square().sum(dim=1, keepdim=True).sqrt().clamp(min=FAINT)
        cosine = nn.functional.conv2d(gradient, self.directions) / length
        pooled = _filtered(cosine.relu() ** SHARPNESS * length, self.weights)
        descriptors = self._gathered(pooled)
        norm = descriptors.square().sum(dim=1, keepdim=True).sqrt()
        capped = (descriptors / norm.clamp(min=FLAT)).clamp(max=LARGEST)
        capped = capped / capped.square().sum(dim=1, keepdim=True).sqrt().clamp(min=LARGEST)
        return capped if self.as_map else capped.mean(dim=(2, 3))

    def _gathered(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the sums of the 4 x 4 cells side by side, for every ``step``-th place."""
        middle, side = self.cell // 2, pooled.shape[2]
        span = side - 4 * self.cell + 1
        starts = [middle + cell * self.cell for cell in range(4)]
        parts = [
            pooled[:, :, top : top + span : self.step, left : left + span : self.step]
            for top in starts
            for left in starts
        ]
        return torch.cat(parts, dim=1)


def _filtered(maps: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return each channel filtered along both sides by ``kernel``, of odd length, its border repeated."""
    channels, reach = maps.shape[1], len(kernel) // 2
    padded = nn.functional.pad(maps, (reach, reach, reach, reach), mode="replicate")
    column = kernel.reshape(1, 1, -1, 1).expand(channels, -1, -1, -1)
    row = kernel.reshape(1, 1, 1, -1).expand(channels, -1, -1, -1)
    return nn.functional.conv2d(nn.functional.conv2d(padded, column, groups=channels), row, groups=channels)
