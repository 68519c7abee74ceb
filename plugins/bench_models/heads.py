"""What models trained by gradients on features share: they differ in their loss, and in what they look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, ScoreKind
from bench_models.inputs import CHUNK, Dropout, FeatureInput, seeded


class Loss(Protocol):
    """(n, labels) logits, bool truth, generator, pairs to ignore or ``None`` -> scalar, mean over the images."""

    def __call__(
        self,
        logits: torch.Tensor,
        truth: torch.Tensor,
        generator: torch.Generator,
        ignore: torch.Tensor | None = None,
    ) -> torch.Tensor: ...


Slope = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
"""(n, labels) logits, bool truth, generator -> a loss and its gradient by the logits, to the bit as autograd's."""


def even_target(
    logits: torch.Tensor, truth: torch.Tensor, ignore: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits, the target distribution 1/c on each of an image's c labels, and which images have one, (n,) bool.

    An ignored label is in neither distribution: the softmax is over the others.
    """
    if ignore is not None:
        truth = truth & ~ignore
        # Not -infinity: times a target of 0 it would be NaN.
        logits = logits.masked_fill(ignore, torch.finfo(logits.dtype).min)
    return logits, truth / truth.sum(dim=1, keepdim=True).clamp(min=1), truth.any(dim=1)


def log_odds(truth: BoolArray, ignore: BoolArray | None) -> torch.Tensor:
    """Return the log-odds of each label's share of the images whose pair with it is not ignored, (labels,) finite."""
    positive, counted = truth.sum(axis=0), np.full(truth.shape[1], len(truth))
    if ignore is not None:
        rows = [slice(start, start + CHUNK) for start in range(0, len(truth), CHUNK)]
        positive = sum((truth[some] & ~ignore[some]).sum(axis=0) for some in rows)
        counted = counted - ignore.sum(axis=0)
    negative = counted - positive
    return torch.from_numpy(np.log((positive + 0.5) / (negative + 0.5))).float()


@torch.no_grad()
def start_at(layers: nn.Module, logits: torch.Tensor) -> None:
    """Make ``layers`` give the same ``logits``, (labels,), to every image, before they are trained.

    Linear layers, the last of a sequence, and modules with a ``start_at`` of their own do; others stay as they are.
    """
    last = layers[-1] if isinstance(layers, nn.Sequential) else layers
    if isinstance(last, nn.Linear | nn.Conv2d):
        assert last.bias is not None, "a layer that gives logits has a bias"
        last.weight.zero_()
        last.bias.copy_(logits)
    else:
        own: Callable[[torch.Tensor], None] = getattr(layers, "start_at", lambda logits: None)
        own(logits)


class Head(nn.Module):
    """A ``bench.ScoreModel``: a normalised ``given``, ``layers`` from it to one logit per label, and an objective.

    Training starts at the label prior, and not at random: from a random start rare labels need thousands of updates to
    sink, and what is learnt until then fits noise. So no row is below ``prior`` for want of data or epochs.

    ``given`` has ``fit``, which takes what it normalises by from the training part. ``to_scores`` turns logits into
    scores of kind ``score_kind``; ``None`` keeps them. ``slope`` is the objective with its gradient, where that is
    known in closed form: linear layers are then trained without autograd, which takes longer than their arithmetic.
    """

    slope: Slope | None = None

    def __init__(
        self,
        given: nn.Module,
        layers: nn.Module,
        objective: Loss,
        score_kind: ScoreKind,
        to_scores: Callable[[torch.Tensor], torch.Tensor] | None,
    ) -> None:
        super().__init__()
        self.score_kind = score_kind
        self.objective = objective
        self.to_scores = to_scores
        self.input: Any = given
        self.layers = layers

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Take the input's mean and standard deviation from the training part, and the prior to start at."""
        self.input.fit(features)
        start_at(self.layers, log_odds(truth, ignore))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) logits."""
        logits: torch.Tensor = self.layers(self.input(features))
        return logits

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) scores of kind ``score_kind``."""
        logits = self.logits(features)
        return self.to_scores(logits) if self.to_scores else logits

    def loss(
        self,
        features: torch.Tensor,
        truth: torch.Tensor,
        generator: torch.Generator,
        ignore: torch.Tensor | None = None,
        gradients: bool = False,
    ) -> torch.Tensor:
        """Return the objective on a batch, a scalar; with ``gradients`` those of the parameters are set."""
        if gradients and ignore is None and self.slope and isinstance(self.layers, nn.Linear):
            with torch.no_grad():
                given = self.input(features)
                loss, slope = self.slope(self.layers(given), truth, generator)
                self.layers.weight.grad, self.layers.bias.grad = slope.T @ given, slope.sum(dim=0)
            return loss
        loss = self.objective(self.logits(features), truth, generator, ignore)
        if gradients:
            loss.backward()  # type: ignore[no-untyped-call]
        return loss


class Classifier(Head):
    """A head on feature vectors, with an optional hidden layer.

    ``layers`` makes a module from dimensions to labels; ``None``: a linear layer, with a hidden one before it where
    option ``hidden`` asks.
    """

    def __init__(
        self,
        request: bench.ModelRequest,
        objective: Loss,
        score_kind: ScoreKind,
        to_scores: Callable[[torch.Tensor], torch.Tensor] | None = None,
        layers: Callable[[int, int], nn.Module] | None = None,
        *,
        slope: Slope | None = None,
    ) -> None:
        hidden = int(request.options.get("hidden", 0))
        labels = len(request.labels)
        with seeded(request.seed):
            given = FeatureInput(request)
            made: nn.Module = (layers or nn.Linear)(request.dimensions, labels)
            if hidden:
                drop = Dropout(float(request.options["dropout"]))
                made = nn.Sequential(nn.Linear(request.dimensions, hidden), nn.ReLU(), drop, nn.Linear(hidden, labels))
        super().__init__(given, made, objective, score_kind, to_scores)
        self.slope = slope


class LowRank(nn.Module):
    """(n, dimensions) -> (n, labels) through ``embedding`` dimensions; label vectors are at most ``norm`` long.

    A label's bias says how frequent it is. Standardised features have no direction that all images share, by which a
    scalar product alone could.
    """

    def __init__(self, dimensions: int, labels: int, embedding: int, norm: float) -> None:
        super().__init__()
        self.norm = norm
        self.image = nn.Linear(dimensions, embedding, bias=False)
        self.labels = nn.Linear(embedding, labels)

    def start_at(self, logits: torch.Tensor) -> None:
        """Give every image these logits, (labels,): label vectors are zero until they are trained."""
        self.labels.weight.zero_()
        self.labels.bias.copy_(logits)

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take weights of before labels had a bias as those of none."""
        state_dict.setdefault(prefix + "labels.bias", torch.zeros_like(self.labels.bias))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the scalar products of images and labels, and the labels' biases."""
        vectors = self.labels.weight
        shrink = (self.norm / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        return nn.functional.linear(self.image(features), vectors * shrink, self.labels.bias)
