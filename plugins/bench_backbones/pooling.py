"""Pooling over places that keeps both what stands out somewhere and what is everywhere."""

import torch
from torch import nn


class MaximumAndMean(nn.Module):
    """(n, channels, height, width) -> (n, 2 channels): the maximum over places, then the mean."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return both, side by side."""
        return torch.cat((maps.amax(dim=(2, 3)), maps.mean(dim=(2, 3))), dim=1)
