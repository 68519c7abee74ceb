"""The modules behind ``logistic`` and ``classifier-chain``: penalised logistic regressions of all labels at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation, progress_bar
from bench_models.inputs import FeatureInput, seeded
from bench_models.newton import Problem

COSTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
WITHOUT_VALIDATION = 1e-2
ROUGHLY = 1e-3
"""How exactly the regressions are solved that a penalty is chosen by; those at the chosen one are solved to the end."""

PATIENCE = 2
"""Larger costs that are tried after the best one: the score has one peak, and the largest cost is the slowest."""


class Solved(nn.Module):
    """Standardised features, and a penalty that is given or chosen on the validation part."""

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.cost, self.seed = float(request.options["C"]), request.seed
        self.input = FeatureInput(replace(request, options={"normalize": "standard", "dropout": 0.0}))

    def problem(
        self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None, allowed: torch.Tensor | None = None
    ) -> Problem:
        """Return the problem of the training part; ``allowed`` (labels, d + labels) adds truth as features."""
        device = self.input.mean.device
        given = torch.from_numpy(truth.copy()).to(device)
        left_out = None if ignore is None else torch.from_numpy(ignore.copy()).to(device)
        images = self.input(torch.from_numpy(np.array(features, dtype=np.float32)).to(device))
        if allowed is not None:
            seen = given if left_out is None else given & ~left_out
            images = torch.cat([images, seen.float()], dim=1)
        return Problem.of(images, given, left_out, allowed)

    def take(self, weights: torch.Tensor) -> None:
        """Use (labels, columns) ``weights``, bias last."""
        raise NotImplementedError

    def solve(self, problem: Problem, validation: Validation | None) -> float:
        """Use the best weights, and return their cost: the one asked for, or the best on the validation part."""
        if self.cost or validation is None:
            cost = self.cost or WITHOUT_VALIDATION
            self.take(problem.solve(cost, problem.start()))
            return cost
        weights = kept = problem.start()
        chosen, best, since = COSTS[0], -1.0, 0
        for cost in progress_bar(COSTS, "penalties", unit="penalties"):
            weights = problem.solve(cost, weights, ROUGHLY)
            self.take(weights)
            score = validation.score(self)
            since += 1
            if score > best:
                chosen, best, kept, since = cost, score, weights, 0
            elif since == PATIENCE:
                break
        self.take(problem.solve(chosen, kept))
        return chosen

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: ``fit`` does it all."""
        return features.new_zeros(())


class Logistic(Solved):
    """A ``bench.ScoreModel``: one linear layer whose weights ``fit`` solves for."""

    score_kind = "logit"

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
        self.input.fit(features)
        self.solve(self.problem(features, truth, ignore), validation)

    def take(self, weights: torch.Tensor) -> None:
        """Use (labels, dimensions + 1) ``weights``, bias last."""
        self.planes.weight.copy_(weights[:, :-1])
        self.planes.bias.copy_(weights[:, -1])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) logits."""
        scores: torch.Tensor = self.planes(self.input(features))
        return scores


class Chain(Solved):
    """A ``bench.ScoreModel``: in each order, a label's logit is of the image and of the probabilities before it.

    ``image`` (orders, labels, dimensions), ``bias`` (orders, labels) and ``links`` (orders, labels, labels) are by the
    labels' places in the order: ``links[o, i, j]`` is what place i gives to place j, 0 unless i < j. ``places``
    (orders, labels) is where each label stands.
    """

    score_kind = "probability"
    image: torch.Tensor
    bias: torch.Tensor
    links: torch.Tensor
    places: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        labels, orders = len(request.labels), int(request.options["orders"])
        self.chained = orders > 0
        draw = np.random.default_rng(request.seed)
        drawn = [draw.permutation(labels) for _ in range(orders)] or [np.arange(labels)]
        self.register_buffer("places", torch.from_numpy(np.stack([np.argsort(order) for order in drawn])))
        self.register_buffer("image", torch.zeros(len(drawn), labels, request.dimensions))
        self.register_buffer("bias", torch.zeros(len(drawn), labels))
        self.register_buffer("links", torch.zeros(len(drawn), labels, labels))
        self.solved = len(drawn)

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Solve the links of every order; the first one alone chooses the penalty of all."""
        self.input.fit(features)
        cost = self.cost
        for order in range(len(self.places)):
            before = self.places[order].unsqueeze(0) < self.places[order].unsqueeze(1)
            every = self.image.new_ones(len(before), features.shape[1])
            allowed = torch.cat([every, self.chained * before.float()], dim=1)
            problem = self.problem(features, truth, ignore, allowed)
            self.solved = order + 1
            if order:
                self.take(problem.solve(cost, problem.start()))
            else:
                cost = self.solve(problem, validation)

    def take(self, weights: torch.Tensor) -> None:
        """Use (labels, dimensions + labels + 1) ``weights``, by label, for the last of the orders solved so far."""
        labels, last = weights.shape[0], self.solved - 1
        order = self.places[last].argsort()
        self.image[last], self.bias[last] = weights[order, : -labels - 1], weights[order, -1]
        self.links[last] = weights[:, -labels - 1 : -1][order][:, order].T

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) probabilities, the mean over the orders."""
        image, bias, links, places = (part[: self.solved] for part in (self.image, self.bias, self.links, self.places))
        logits = torch.einsum("nd,old->nol", self.input(features), image) + bias
        for place in range(links.shape[1] if self.chained else 0):
            logits = logits + logits[:, :, place : place + 1].sigmoid() * links[:, place]
        by_label = places.unsqueeze(0).expand(logits.shape[0], -1, -1)
        return logits.sigmoid().gather(2, by_label).mean(dim=1)
