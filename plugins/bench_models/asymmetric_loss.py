"""Asymmetric loss: easy negatives count less, and very easy ones not at all.

Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021. With p the probability of a label and
q = max(p - margin, 0), a true label costs -(1 - p)^gamma_positive log p and a false one -q^gamma_negative log(1 - q).

Deviations: a linear classifier on frozen features unless ``--finetune`` says otherwise, trained with the benchmark's
optimiser and schedule; the gradient flows through the focusing weights. Ablation: ``gamma_negative=0 margin=0``, which
is binary cross-entropy.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, input_options

if TYPE_CHECKING:
    import torch


def asymmetric_loss(
    logits: torch.Tensor,
    truth: torch.Tensor,
    generator: torch.Generator,
    ignore: torch.Tensor | None = None,
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
) -> torch.Tensor:
    """Return the mean over images of the sum over labels, but the ignored, of the asymmetric loss."""
    import torch
    from torch.nn import functional

    probability = logits.sigmoid()
    positive = functional.logsigmoid(logits)
    if gamma_positive:
        positive = positive * (1.0 - probability) ** gamma_positive
    if margin:
        shifted = (probability - margin).clamp(min=0.0)
        negative = torch.log1p(-shifted)  # at most 1 - margin: finite
    else:
        shifted, negative = probability, functional.logsigmoid(-logits)
    if gamma_negative:
        negative = negative * shifted**gamma_negative
    per_pair = torch.where(truth, positive, negative)
    if ignore is not None:
        per_pair = per_pair.masked_fill(ignore, 0.0)
    return -per_pair.sum(dim=1).mean()


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are logits."""
    from bench_models.heads import Classifier

    gamma_positive, gamma_negative, margin = (float(request.options[option.name]) for option in LOSS_OPTIONS)
    loss = partial(asymmetric_loss, gamma_positive=gamma_positive, gamma_negative=gamma_negative, margin=margin)
    return Classifier(request, loss, "logit")


LOSS_OPTIONS = (
    Option("gamma_positive", 0.0, "focusing of true labels", minimum=0.0),
    Option("gamma_negative", 4.0, "focusing of false labels", minimum=0.0),
    Option("margin", 0.05, "probability below which a false label costs nothing", minimum=0.0, maximum=0.9),
)
"""Defaults as in section 4 of the paper."""

SPEC = ModelSpec(
    name="asymmetric-loss",
    summary="linear classifier, asymmetric loss (ASL): easy negatives count less, very easy ones not at all",
    kind="scores",
    build=build,
    options=(*LOSS_OPTIONS, HIDDEN, *input_options(dropout=0.0)),
    training=CLASSIFIER_TRAINING,
    space=(
        *CLASSIFIER_SPACE,
        Dimension("gamma_negative", low=0.0, high=4.0),
        Dimension("margin", (0.0, 0.05, 0.1)),
    ),
    source="Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021",
    deviations="a linear classifier on frozen features unless --finetune is given",
)
