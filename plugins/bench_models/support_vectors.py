"""The module behind ``svm``: the planes of linear support vector machines, all labels at once."""

from __future__ import annotations

from operator import itemgetter

import torch

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.inputs import AUTO, FORMS, UnitInput
from bench_models.plane_losses import SquaredHinge
from bench_models.solved import Planes


class SupportVectors(Planes):
    """A ``bench.ScoreModel``: scores are distances from the planes in margins, positive on the label's side.

    Which ``form`` the features have is given, by option ``normalize``, or what gives the best planes on validation.
    A label that all training images have, or none, gets a constant score, its sign.
    """

    score_kind = "margin"
    plane_loss = SquaredHinge()
    costs = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    without_validation = 0.2

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        self.input = UnitInput(request.dimensions)
        self.form = str(request.options["normalize"])
        self.chooses = self.chooses or self.form == AUTO

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Find each label's plane from the images whose pair with it is not ignored."""
        if self.form != AUTO or validation is None:
            self.input.use(self.form, features)
            super().fit(features, truth, ignore, validation)
            return
        tried = []
        for form in FORMS:
            self.input.use(form, features)
            tried.append((*self.choose(self.problem(features, truth, ignore), validation), form))
        _, cost, weights, form = max(tried, key=itemgetter(0))
        self.input.use(form, features)
        self.take(self.problem(features, truth, ignore).solve(cost, weights))
        self.chosen = {"normalize": form}
        if not self.cost:
            self.chosen["C"] = cost

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of unit length."""
        unit: torch.Tensor = self.input(features)
        return unit
