"""The classifier on feature maps that the models of regions share; they differ in what they make of the places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import bench
from bench import FloatArray, ScoreKind
from bench_models.heads import Head, Loss
from bench_models.inputs import Dropout, deviation_floor, seeded

CHUNK = 64
"""Maps read at once for the statistics."""


class MapInput(nn.Module):
    """Normalises (n, channels, height, width) maps channel by channel; in training, drops whole channels of an image.

    ``standard`` subtracts a channel's mean over the training part's places and divides by its standard deviation,
    ``none`` leaves it.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.normalize = str(request.options["normalize"])
        self.dropout = Dropout(float(request.options["dropout"]))
        self.register_buffer("mean", torch.zeros(request.dimensions, 1, 1))
        self.register_buffer("scale", torch.ones(request.dimensions, 1, 1))

    def fit(self, maps: FloatArray) -> None:
        """Take mean and standard deviation from the training part; only ``standard`` uses them."""
        if self.normalize != "standard":
            return
        total = squares = np.zeros(maps.shape[1])
        for start in range(0, len(maps), CHUNK):
            chunk = np.asarray(maps[start : start + CHUNK], dtype=np.float64)
            total = total + chunk.sum(axis=(0, 2, 3))
            squares = squares + np.square(chunk).sum(axis=(0, 2, 3))
        count = len(maps) * maps.shape[2] * maps.shape[3]
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
        self.mean.copy_(torch.from_numpy(mean)[:, None, None])
        self.scale.copy_(torch.from_numpy(1.0 / np.maximum(deviation, deviation_floor(deviation)))[:, None, None])

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps."""
        scale = self.dropout(self.scale.expand(maps.shape[0], -1, -1, -1)) if self.training else self.scale
        return (maps - self.mean) * scale


class MapClassifier(Head):
    """A head on feature maps; ``layers`` makes a module from normalised maps to one logit per label."""

    def __init__(
        self,
        request: bench.ModelRequest,
        objective: Loss,
        layers: Callable[[bench.ModelRequest], nn.Module],
        score_kind: ScoreKind = "logit",
        to_scores: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        with seeded(request.seed):
            given, made = MapInput(request), layers(request)
        super().__init__(given, made, objective, score_kind, to_scores)
