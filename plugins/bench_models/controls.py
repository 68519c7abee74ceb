"""The modules behind the controls ``prior``, ``prior-known`` and ``random``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray
from bench_models.inputs import FeatureInput, seeded

TURNS = 4.0
"""Radians for one standard deviation of a random direction: far enough that like images get unlike scores, and so
little that what rounding does to a feature stays rounding in a score."""

LARGEST = 4.0
"""Standard deviations beyond which a feature counts as this: pictures unlike those of training have larger rounding."""


class Prior(nn.Module):
    """A ``bench.ScoreModel`` that says the same of every image."""

    score_kind = "probability"
    share: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.register_buffer("share", torch.zeros(len(request.labels)))

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Take each label's share of the images whose pair with it is not ignored."""
        counted = np.ones_like(truth) if ignore is None else ~ignore
        share = (truth & counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
        self.share.copy_(torch.from_numpy(share))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) shares."""
        return features.new_zeros(features.shape[0], 1) + self.share

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: there is nothing to train."""
        return features.new_zeros(())


class PriorOfTold(Prior):
    """A ``Prior`` that is told tags and makes nothing of them."""

    def forward(self, features: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        """Return (n, labels) shares."""
        return super().forward(features)


class Chance(nn.Module):
    """A ``bench.ScoreModel``: the sine of random directions through the standardised features, in [-1, 1].

    Scores must be each image's own and the same when it is asked again, so they cannot be drawn anew.
    """

    score_kind = "margin"
    directions: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.input = FeatureInput(replace(request, options={"normalize": "standard", "dropout": 0.0}))
        with seeded(request.seed):
            drawn = torch.randn(request.dimensions, len(request.labels)) * TURNS / request.dimensions**0.5
        self.register_buffer("directions", drawn)

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Take the features' mean and standard deviation; nothing is learnt from truth."""
        self.input.fit(features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) scores that have nothing to do with the labels."""
        return torch.sin(self.input(features).clamp(-LARGEST, LARGEST) @ self.directions)

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: there is nothing to train."""
        return features.new_zeros(())
