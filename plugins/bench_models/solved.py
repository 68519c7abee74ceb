"""Planes that are solved for and not trained in epochs, and the penalty that they are solved under."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation, progress_bar
from bench_models.inputs import seeded
from bench_models.newton import Problem
from bench_models.pair_precision import pair_precision
from bench_models.plane_losses import PlaneLoss

ROUGHLY = 1e-3
"""How exactly the planes are solved that a penalty is chosen by; those at the chosen one are solved to the end."""

PATIENCE = 2
"""Larger costs that are tried after the best one: the score has one peak, and the largest cost is the slowest."""


class Solved(nn.Module):
    """A penalty that is given, by option ``C``, or the best of ``costs`` on the validation part, then in ``chosen``."""

    plane_loss: ClassVar[PlaneLoss]
    costs: ClassVar[tuple[float, ...]]
    without_validation: ClassVar[float]

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.cost = float(request.options["C"])
        self.chooses = not self.cost
        self.chosen: dict[str, float | str] = {}

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the planes see of (n, dimensions) ``features``."""
        raise NotImplementedError

    def take(self, weights: torch.Tensor) -> None:
        """Use (labels, columns) ``weights``, bias last."""
        raise NotImplementedError

    def problem(
        self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None, allowed: torch.Tensor | None = None
    ) -> Problem:
        """Return the problem of the training part; ``allowed`` (labels, d + labels) adds truth as features."""
        device = next(iter(self.state_dict().values())).device
        given = torch.from_numpy(truth.copy()).to(device)
        left_out = None if ignore is None else torch.from_numpy(ignore.copy()).to(device)
        images = self.inputs(torch.from_numpy(np.array(features, dtype=np.float32)).to(device))
        if allowed is not None:
            seen = given if left_out is None else given & ~left_out
            images = torch.cat([images, seen.float()], dim=1)
        return Problem.of(self.plane_loss, images, given, left_out, allowed)

    def solve(self, problem: Problem, validation: Validation | None) -> float:
        """Use the best weights, and return their cost: the one asked for, or the best on the validation part."""
        if self.cost or validation is None:
            cost = self.cost or self.without_validation
            self.take(problem.solve(cost, problem.start()))
            return cost
        _, cost, weights = self.choose(problem, validation)
        self.take(problem.solve(cost, weights))
        self.chosen = {"C": cost}
        return cost

    def choose(self, problem: Problem, validation: Validation) -> tuple[float, float, torch.Tensor]:
        """Return the best score on the validation part, its cost, and the weights there, roughly solved."""
        weights = kept = problem.start()
        costs = (self.cost,) if self.cost else self.costs
        chosen, best, since = costs[0], -1.0, 0
        for cost in progress_bar(costs, "penalties", unit="penalties"):
            weights = problem.solve(cost, weights, ROUGHLY)
            self.take(weights)
            score = pair_precision(self, validation)
            since += 1
            if score > best:
                chosen, best, kept, since = cost, score, weights, 0
            elif since == PATIENCE:
                break
        return best, chosen, kept

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: ``fit`` does it all."""
        return features.new_zeros(())


class Planes(Solved):
    """A ``bench.ScoreModel``: one linear layer whose weights ``fit`` solves for."""

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        with seeded(request.seed):
            self.planes = nn.Linear(request.dimensions, len(request.labels)).requires_grad_(False)

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Find each label's plane from the images whose pair with it is not ignored."""
        self.solve(self.problem(features, truth, ignore), validation)

    def take(self, weights: torch.Tensor) -> None:
        """Use (labels, dimensions + 1) ``weights``, bias last."""
        self.planes.weight.copy_(weights[:, :-1])
        self.planes.bias.copy_(weights[:, -1])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) scores."""
        scores: torch.Tensor = self.planes(self.inputs(features))
        return scores
