"""The modules behind ``logistic`` and ``classifier-chain``: penalised logistic regressions of all labels at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.inputs import FeatureInput
from bench_models.plane_losses import LogisticLoss
from bench_models.solved import Planes, Solved

COSTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)


class Standardised(Solved):
    """Logistic regressions on standardised features."""

    plane_loss = LogisticLoss()
    costs = COSTS
    without_validation = 1e-2

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        self.input = FeatureInput(replace(request, options={"normalize": "standard", "dropout": 0.0}))

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the standardised features."""
        standard: torch.Tensor = self.input(features)
        return standard


class Logistic(Standardised, Planes):
    """A ``bench.ScoreModel`` of logits."""

    score_kind = "logit"

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Take the features' mean and deviation, then find each label's plane."""
        self.input.fit(features)
        super().fit(features, truth, ignore, validation)


class Chain(Standardised):
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
