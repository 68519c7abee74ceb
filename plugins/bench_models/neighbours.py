"""The module behind ``knn``: the training part as buffers, so that it is stored and exported like weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.pair_precision import pair_precision

COUNTS = (3, 5, 10, 15, 25, 50, 100, 200)
WITHOUT_VALIDATION = 50


class Neighbours(nn.Module):
    """A ``bench.ScoreModel`` that remembers: unit-length features (images, dimensions) and truth (images, labels).

    ``votes`` (images, labels) is 0 where a pair is ignored, else 1; it has no rows where none is. ``count`` is how many
    vote: option ``neighbours``, or where that is 0 the best of ``COUNTS`` on the validation part.
    """

    score_kind = "margin"
    features: torch.Tensor
    truth: torch.Tensor
    votes: torch.Tensor
    count: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        asked = int(request.options["neighbours"])
        self.chooses = not asked
        self.chosen: dict[str, int] = {}
        self.register_buffer("features", torch.zeros(0, request.dimensions))
        self.register_buffer("truth", torch.zeros(0, len(request.labels)))
        self.register_buffer("votes", torch.zeros(0, len(request.labels)))
        self.use(asked or WITHOUT_VALIDATION)

    def use(self, neighbours: int) -> None:
        """Let ``neighbours`` images vote. The number itself is for graphs, which cannot hold a search of any size."""
        self.neighbours = neighbours
        self.register_buffer("count", torch.tensor([neighbours], device=self.features.device))

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Keep the training part, and choose how many vote; of equal ones the fewest."""
        device = self.features.device
        self.features = nn.functional.normalize(torch.from_numpy(features.copy()), dim=1).to(device)
        self.truth = torch.from_numpy(truth.copy()).float().to(device)
        if ignore is not None and ignore.any():
            self.votes = torch.from_numpy(~ignore).float().to(device)
            self.truth *= self.votes
        if self.chooses and validation is not None:
            self.use(max(COUNTS, key=lambda count: self._judged(count, validation)))
            self.chosen = {"neighbours": self.neighbours}

    def _judged(self, count: int, validation: Validation) -> float:
        self.use(count)
        return pair_precision(self, validation)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean of similarity times truth over the nearest images that vote, (n, labels); 0: none does."""
        similarity = nn.functional.normalize(features, dim=1) @ self.features.T
        count = min(self.neighbours, len(self.features))
        nearest, rows = similarity.topk(count, dim=1)
        total: torch.Tensor = (nearest.unsqueeze(2) * self.truth[rows]).sum(dim=1)
        return total / (self.votes[rows].sum(dim=1).clamp(min=1) if len(self.votes) else count)

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: there is nothing to train."""
        return features.new_zeros(())

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take the number of remembered images from the stored weights before the usual loading checks shapes."""
        for name in ("features", "truth", "votes"):
            stored = state_dict.get(prefix + name)
            own = getattr(self, name)
            if stored is not None and stored.ndim == 2 and stored.shape[1] == own.shape[1]:
                setattr(self, name, own.new_zeros(stored.shape))
        state_dict.setdefault(prefix + "count", self.count)  # weights of before the number was stored: as asked
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.neighbours = int(self.count)
