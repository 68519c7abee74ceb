"""Pooling over places that keeps both what stands out somewhere and what is everywhere."""

import torch
from torch import nn


class MaximumAndMean(nn.Module):
    """(n, channels, height, width) -> (n, 2 channels): the maximum over places, then the mean."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return both, side by side."""
        return torch.cat((maps.amax(dim=(2, 3)), maps.mean(dim=(2, 3))), dim=1)


class AdaptiveMean(nn.Module):
    """``nn.AdaptiveAvgPool2d`` whose gradients on a GPU are the same each time, as torch's own are not.

    Where no gradient is asked for it is torch's, to the bit.
    """

    def __init__(self, adaptive: nn.AdaptiveAvgPool2d) -> None:
        super().__init__()
        self.adaptive = adaptive

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, rows, columns) means."""
        pooled: torch.Tensor = self.adaptive(maps.detach())
        if not maps.requires_grad:
            return pooled
        rows, columns = (
            nn.functional.adaptive_avg_pool1d(torch.eye(there, device=maps.device, dtype=maps.dtype), wanted).T
            for there, wanted in zip(maps.shape[2:], pooled.shape[2:], strict=True)
        )
        return rows @ maps @ columns.T
