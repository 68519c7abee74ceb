"""The module behind ``svm``: liblinear's planes as the weights of one linear layer."""

from __future__ import annotations

import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, progress_bar
from bench_models.inputs import seeded


class SupportVectors(nn.Module):
    """A ``bench.ScoreModel`` whose weights are solved for by ``fit``, label by label."""

    score_kind = "margin"

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.cost, self.seed = float(request.options["C"]), request.seed
        with seeded(request.seed):
            self.planes = nn.Linear(request.dimensions, len(request.labels)).requires_grad_(False)

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Find each label's plane from the images whose pair with it is not ignored.

        A label that all of them or none have gets a constant score, its sign.
        """
        from sklearn.svm import LinearSVC

        unit = nn.functional.normalize(torch.from_numpy(features.copy()), dim=1).double().numpy()
        for label in progress_bar(range(truth.shape[1]), "support vector machines", unit="labels"):
            vectors, positive = unit, truth[:, label]
            if ignore is not None and ignore[:, label].any():
                vectors, positive = unit[~ignore[:, label]], positive[~ignore[:, label]]
            if positive.all() or not positive.any():
                self.planes.weight[label], self.planes.bias[label] = 0.0, 1.0 if positive.any() else -1.0
                continue
            machine = LinearSVC(C=self.cost, dual="auto", max_iter=10_000, random_state=self.seed)
            solved = machine.fit(vectors, positive)
            self.planes.weight[label] = torch.from_numpy(solved.coef_[0]).float()
            self.planes.bias[label] = float(solved.intercept_[0])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) distances from the planes, positive on the side of the label."""
        scores: torch.Tensor = self.planes(nn.functional.normalize(features, dim=1))
        return scores

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: ``fit`` does it all."""
        return features.new_zeros(())
