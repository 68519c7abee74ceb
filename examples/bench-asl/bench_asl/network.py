"""The classifier and its loss."""

from typing import Any, Literal

import torch
from torch import nn

import bench


class AsymmetricClassifier(nn.Module):
    """Standardised features, one logit per label: a ``bench.ScoreModel``."""

    score_kind: Literal["logit"] = "logit"
    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.options = {name: float(value) for name, value in request.options.items()}
        self.register_buffer("mean", torch.zeros(request.dimensions))
        self.register_buffer("deviation", torch.ones(request.dimensions))
        with torch.random.fork_rng(devices=[]):  # the same seed gives the same start, and disturbs nothing else
            torch.manual_seed(request.seed)
            self.linear = nn.Linear(request.dimensions, len(request.labels))

    def fit(self, features: Any, truth: Any, ignore: Any = None) -> None:
        """Take mean and deviation from the training part; the benchmark calls this once, before training."""
        values = torch.tensor(features)  # a copy: what the benchmark hands over is read-only
        self.mean.copy_(values.mean(dim=0))
        self.deviation.copy_(values.std(dim=0, unbiased=False).clamp(min=1e-6))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) logits."""
        logits: torch.Tensor = self.linear((features - self.mean) / self.deviation)
        return logits

    def loss(
        self,
        features: torch.Tensor,
        truth: torch.Tensor,
        generator: torch.Generator,
        ignore: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the mean over images of the loss summed over labels, but the ignored (VOC's difficult)."""
        return asymmetric_loss(self(features), truth, ignore, **self.options)


def asymmetric_loss(
    logits: torch.Tensor,
    truth: torch.Tensor,
    ignore: torch.Tensor | None = None,
    *,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
) -> torch.Tensor:
    """Return the asymmetric loss, the mean over images of its sum over labels.

    With p the probability of a label and q = max(p - margin, 0), a true label costs
    -(1 - p)^gamma_positive log p and a false one -q^gamma_negative log(1 - q).
    """
    probability = logits.sigmoid()
    shifted = (probability - margin).clamp(min=0.0)
    positive = (1 - probability) ** gamma_positive * nn.functional.logsigmoid(logits)
    negative = shifted**gamma_negative * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    per_pair = torch.where(truth, positive, negative)
    if ignore is not None:
        per_pair = per_pair.masked_fill(ignore, 0.0)
    return -per_pair.sum(dim=1).mean()
