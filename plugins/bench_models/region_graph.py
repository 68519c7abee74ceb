"""The module behind ``multi-edge-graph``: training regions and their labels as buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import bench
from bench import BoolArray, FloatArray

CHUNK = 512
"""Images, or rows of regions, taken at once: maps need not fit in memory, nor all similarities."""


class RegionGraph(nn.Module):
    """A ``bench.ScoreModel``: unit-length ``regions`` (m, channels) of training images and ``tags`` (m, labels)."""

    score_kind = "margin"
    regions: torch.Tensor
    tags: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        options, shape = request.options, request.feature_map
        assert shape is not None, "a model of feature maps is told their shape"
        side = min(int(options["grid"]), *shape[1:])
        self.cells = [
            (slice(row * shape[1] // grid, (row + 1) * shape[1] // grid), slice(column * shape[2] // grid, end))
            for grid in range(1, side + 1)
            for row in range(grid)
            for column in range(grid)
            for end in [(column + 1) * shape[2] // grid]
        ]
        self.edges, self.rounds = int(options["edges"]), int(options["rounds"])
        self.register_buffer("regions", torch.zeros(0, request.dimensions))
        self.register_buffer("tags", torch.zeros(0, len(request.labels)))

    def bag(self, maps: torch.Tensor) -> torch.Tensor:
        """Return unit-length means over each region of (n, channels, height, width), (n, regions, channels)."""
        means = [maps[:, :, rows, columns].mean(dim=(2, 3)) for rows, columns in self.cells]
        return functional.normalize(torch.stack(means, dim=1), dim=2)

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Keep the regions of the training images; propagate the images' labels among them."""
        device, count = self.tags.device, len(self.cells)
        parts = [
            self.bag(torch.from_numpy(np.asarray(features[start : start + CHUNK], dtype=np.float32)))
            for start in range(0, len(features), CHUNK)
        ]
        self.regions = torch.cat(parts).flatten(0, 1).to(device)
        given = torch.from_numpy(truth & ~ignore if ignore is not None else truth.copy()).float().to(device)
        owner = torch.arange(len(truth), device=device).repeat_interleave(count)
        tags = given[owner]
        if self.rounds:
            similarity, rows = self._nearest(self.regions, owner)
        for _ in range(self.rounds):
            following = torch.cat(
                [
                    (weights.unsqueeze(2) * tags[chosen]).sum(dim=1)
                    for weights, chosen in zip(torch.split(similarity, CHUNK), torch.split(rows, CHUNK), strict=True)
                ]
            )
            # The vertex-vs-edge equation: no label that the image lacks, and 1 somewhere for each that it has.
            bags = following.reshape(len(truth), count, -1) * given.unsqueeze(1)
            most = bags.amax(dim=1, keepdim=True)
            bags = torch.where(most > 0, bags / most.clamp(min=1e-12), given.unsqueeze(1).expand_as(bags))
            tags = bags.flatten(0, 1)
        self.tags = tags

    def _nearest(self, regions: torch.Tensor, owner: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return shares (r, edges) of the most alike training regions, and which; no ``owner`` has edges to itself."""
        count = min(self.edges, self.regions.shape[0])
        if owner is None:
            similarity, rows = (regions @ self.regions.T).topk(count, dim=1)
        else:
            found = []
            for part, own in zip(torch.split(regions, CHUNK), torch.split(owner, CHUNK), strict=True):
                alike = (part @ self.regions.T).masked_fill(own[:, None] == owner[None, :], -1.0)
                found.append(alike.topk(count, dim=1))
            similarity, rows = torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])
        similarity = similarity.clamp(min=0)
        return similarity / similarity.sum(dim=1, keepdim=True).clamp(min=1e-6), rows

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels): each label's maximum over the image's regions of what their edges say."""
        bags = self.bag(features)
        shares, rows = self._nearest(bags.flatten(0, 1))
        said = (shares.unsqueeze(2) * self.tags[rows]).sum(dim=1)
        return said.reshape(features.shape[0], len(self.cells), -1).amax(dim=1)

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: there is nothing to train."""
        return features.new_zeros(())

    def _load_from_state_dict(self, state_dict: Mapping[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take the number of regions from the stored weights before the usual loading checks shapes."""
        for name in ("regions", "tags"):
            stored, own = state_dict.get(prefix + name), getattr(self, name)
            if stored is not None and stored.ndim == 2 and stored.shape[1] == own.shape[1]:
                setattr(self, name, own.new_zeros(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
