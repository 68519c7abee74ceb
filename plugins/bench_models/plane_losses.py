"""What a label's plane loses by an image: in a logistic regression, and in a support vector machine."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional


class PlaneLoss(Protocol):
    """A convex loss of (n, labels) scores, given float ``truth`` in {0, 1}; each method returns (n, labels).

    ``enough``: the length of a label's gradient, relative to its first one, at which it counts as solved.
    """

    penalised_bias: bool
    enough: float

    def start(self, positive: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        """Return the bias, (labels,), that a label starts with, and keeps if all or none of its images have it."""
        ...

    def value(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return what is lost by each pair."""
        ...

    def slope(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the derivative of ``value`` by the score."""
        ...

    def curvature(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the second derivative, of a piecewise quadratic loss that of the piece."""
        ...


class LogisticLoss:
    """log(1 + exp(-z s)) with z = 1 where truth is 1, else -1; starts at the label's share of the images."""

    penalised_bias = False
    enough = 1e-5

    def start(self, positive: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        return ((positive + 0.5) / (counted - positive + 0.5)).log()

    def value(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")

    def slope(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return scores.sigmoid() - truth

    def curvature(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        share = scores.sigmoid()
        return share * (1.0 - share)


class SquaredHinge:
    """max(0, 1 - z s)^2, liblinear's; its bias is the weight of one more feature, 1, penalised like the others.

    It starts at 0, or at the sign of a label that all images have, or none.
    """

    penalised_bias = True
    enough = 1e-6

    def start(self, positive: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        some, not_all = positive > 0, (positive < counted) | (positive == 0)
        return some.to(positive.dtype) - not_all.to(positive.dtype)

    def value(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return self._missing(scores, truth).square()

    def slope(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return (2.0 - 4.0 * truth) * self._missing(scores, truth)

    def curvature(self, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return 2.0 * (self._missing(scores, truth) > 0).to(scores.dtype)

    @staticmethod
    def _missing(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return how far each score is from the margin on its side."""
        return (1.0 - (2.0 * truth - 1.0) * scores).clamp(min=0)
