"""The module behind ``dlsr``: the training part as a dictionary of images, and weights between tags."""

from __future__ import annotations

import numpy as np
import torch

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.neighbours import Neighbours

STEPS = 50
"""Proximal gradient steps (ISTA) towards an image's sparse weights."""


class DualView(Neighbours):
    """A ``bench.ScoreModel`` of known tags; ``between`` (labels + 1, labels): what each tag and 1 say for another."""

    between: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        options = request.options
        self.balance = {"both": float(options["balance"]), "image": 1.0, "tags": 0.0}[str(options["views"])]
        self.sparsity, self.ridge, self.seed = float(options["sparsity"]), float(options["ridge"]), request.seed
        self.register_buffer("between", torch.zeros(len(request.labels) + 1, len(request.labels)))

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Keep the training part; rebuild each tag from the others, of which half are hidden."""
        given = truth if ignore is None else truth & ~ignore
        super().fit(features, given, None, validation)
        shown = given & (np.random.default_rng(self.seed).random(given.shape) < 0.5)
        columns = np.concatenate([shown, np.ones((len(given), 1))], axis=1).astype(np.float64)
        gram, target = columns.T @ columns, columns.T @ given.astype(np.float64)
        for label in range(given.shape[1]):
            others = np.delete(np.arange(len(gram)), label)
            penalty = np.diag(np.where(others == len(gram) - 1, 1e-6, self.ridge))
            solved = np.linalg.solve(gram[np.ix_(others, others)] + penalty, target[others, label])
            self.between[torch.from_numpy(others), label] = torch.from_numpy(solved).float().to(self.between.device)

    def forward(self, features: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        """Return (n, labels) scores; without ``known`` no tag is known."""
        told = features.new_zeros(features.shape[0], self.truth.shape[1]) if known is None else known.float()
        tags = torch.cat([told, told.new_ones(told.shape[0], 1)], dim=1) @ self.between
        return self.balance * self.from_images(features, told) + (1.0 - self.balance) * tags

    def from_images(self, features: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Return the tags of the nearest images by the sparse weights that rebuild features and known tags."""
        unit = self.placed(features)
        rows = (unit @ self.features.T).topk(min(self.neighbours, self.features.shape[0]), dim=1).indices
        # Only tags that are known are rebuilt: that one is not known does not say that it is absent.
        tags = self.truth[rows]
        images = torch.cat([self.features[rows], tags * told.unsqueeze(1)], dim=2)
        wanted = torch.cat([unit, told], dim=1)
        gram, along = images @ images.transpose(1, 2), (images @ wanted.unsqueeze(2)).squeeze(2)
        step = 1.0 / gram.abs().sum(dim=2).amax(dim=1, keepdim=True).clamp(min=1e-6)
        weights = torch.zeros_like(along)
        for _ in range(STEPS):
            moved = weights - step * ((gram @ weights.unsqueeze(2)).squeeze(2) - along)
            weights = (moved - step * self.sparsity).clamp(min=0)
        shares = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
        rebuilt: torch.Tensor = (shares.unsqueeze(1) @ tags).squeeze(1)
        return rebuilt
