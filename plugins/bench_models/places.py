"""What a sequence model on feature maps sees of an image: each label looks at the places that speak for it."""

from __future__ import annotations

import math

import torch
from torch import nn

import bench
from bench_models.inputs import Dropout

MOST = 8
"""Places a side that maps are reduced to, by the maximum of neighbours, as far as whole numbers of them allow."""


class Places(nn.Module):
    """(n, channels, height, width) maps -> (n, embedding + labels + 1) image terms.

    The first are a matrix times the mean over places: the paper's U_I I. The others are a score for each label and END:
    a layer scores them at every place, and each takes the soft maximum over places, log of the mean of exp, times a
    weight of its own. ``hidden`` units lie between a place and its scores; 0: none.
    """

    def __init__(self, request: bench.ModelRequest, embedding: int, hidden: int) -> None:
        super().__init__()
        assert request.feature_map is not None, "the host gives a model of maps their shape"
        channels, labels = request.dimensions, len(request.labels)
        self.reduced = max(min(request.feature_map[1:]) // MOST, 1)
        self.joint = nn.Linear(channels, embedding, bias=False)
        self.hidden = nn.Conv2d(channels, hidden, 1) if hidden else None
        self.dropout = Dropout(float(request.options["dropout"]))
        self.scores = nn.Conv2d(hidden or channels, labels + 1, 1)
        self.weight = nn.Parameter(torch.ones(labels + 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the image terms."""
        if self.reduced > 1:
            maps = nn.functional.max_pool2d(maps, self.reduced)
        seen = maps if self.hidden is None else self.dropout(torch.relu(self.hidden(maps)))
        scores = self.scores(seen).flatten(2)
        most = scores.logsumexp(dim=2) - math.log(scores.shape[2])
        return torch.cat([self.joint(maps.flatten(2).mean(dim=2)), most * self.weight], dim=1)
