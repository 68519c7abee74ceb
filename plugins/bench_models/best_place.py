"""The layers behind ``hcp``."""

from __future__ import annotations

import torch
from torch import nn

import bench
from bench_models.heads import start_at
from bench_models.inputs import Dropout


class BestPlace(nn.Module):
    """(n, channels, height, width) maps -> (n, labels): each label's largest logit over the places."""

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        labels, hidden = len(request.labels), int(request.options["hidden"])
        self.layers: nn.Module = nn.Conv2d(request.dimensions, labels, 1)
        if hidden:
            drop = Dropout(float(request.options["dropout"]))
            self.layers = nn.Sequential(
                nn.Conv2d(request.dimensions, hidden, 1), nn.ReLU(), drop, nn.Conv2d(hidden, labels, 1)
            )

    def start_at(self, logits: torch.Tensor) -> None:
        """Give ``logits``, (labels,), to every image."""
        start_at(self.layers, logits)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.layers(maps).amax(dim=(2, 3))
        return logits
