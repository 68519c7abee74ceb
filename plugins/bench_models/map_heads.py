"""The classifier on feature maps that the models of regions share; they differ in what they make of the places."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import bench
from bench import FloatArray, ScoreKind
from bench_models.heads import Head, Loss
from bench_models.inputs import Dropout, mean_and_scale, seeded

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
        mean, scale = mean_and_scale(maps, CHUNK)
        self.mean.copy_(mean[:, None, None])
        self.scale.copy_(scale[:, None, None])

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
