"""The layers behind ``csra``."""

from __future__ import annotations

import torch
from torch import nn

import bench


class ResidualAttention(nn.Module):
    """(n, channels, height, width) maps -> (n, labels): the mean over heads of mean plus lambda times attention."""

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        labels, heads = len(request.labels), int(request.options["heads"])
        self.weight = float(request.options["lambda"])
        self.temperatures = tuple(range(1, heads)) if heads > 1 else (1,)
        self.has_maximum = heads > 1
        self.heads = nn.Conv2d(request.dimensions, heads * labels, 1)
        self.labels = labels

    def start_at(self, logits: torch.Tensor) -> None:
        """Give ``logits``, (labels,), to every image: a score that is the same everywhere counts 1 + lambda times."""
        self.heads.weight.zero_()
        assert self.heads.bias is not None, "the heads have a bias"
        self.heads.bias.copy_(logits.repeat(len(self.temperatures) + self.has_maximum) / (1.0 + self.weight))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        scores = self.heads(maps).flatten(2).unflatten(1, (-1, self.labels))  # (n, heads, labels, places)
        attended = [
            ((scores[:, head] * temperature).softmax(dim=2) * scores[:, head]).sum(dim=2)
            for head, temperature in enumerate(self.temperatures)
        ]
        if self.has_maximum:
            attended.append(scores[:, -1].amax(dim=2))
        logits: torch.Tensor = (scores.mean(dim=3) + self.weight * torch.stack(attended, dim=1)).mean(dim=1)
        return logits
