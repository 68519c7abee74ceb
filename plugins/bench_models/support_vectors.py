"""The module behind ``svm``: the planes of linear support vector machines, all labels at once."""

from __future__ import annotations

import torch
from torch import nn

from bench_models.plane_losses import SquaredHinge
from bench_models.solved import Planes


class SupportVectors(Planes):
    """A ``bench.ScoreModel``: scores are distances from the planes in margins, positive on the label's side.

    A label that all training images have, or none, gets a constant score, its sign.
    """

    score_kind = "margin"
    plane_loss = SquaredHinge()
    costs = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    without_validation = 0.2

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of unit length."""
        return nn.functional.normalize(features, dim=1)
