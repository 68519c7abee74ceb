"""Softmax: a linear classifier whose target spreads the probability evenly over the true labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench import ModelRequest, ModelSpec
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, input_options

if TYPE_CHECKING:
    import torch


def cross_entropy(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean over images of -sum_l p_l log q_l, p_l = 1/c+ on each of an image's c+ labels.

    An image without labels has no target distribution and adds nothing. An ignored label is in neither distribution:
    q is the softmax over the others.
    """
    from bench_models.heads import even_target

    logits, wanted, labelled = even_target(logits, truth, ignore)
    return _mean(wanted, logits.log_softmax(dim=1), labelled.sum().clamp(min=1))


def cross_entropy_and_slope(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same, nothing ignored, and its gradient by the logits."""
    import torch

    from bench_models.heads import even_target

    logits, wanted, labelled = even_target(logits, truth, None)
    log_q, images = logits.log_softmax(dim=1), labelled.sum().clamp(min=1)
    return _mean(wanted, log_q, images), torch._log_softmax_backward_data(-(1 / images) * wanted, log_q, 1, log_q.dtype)


def _mean(wanted: torch.Tensor, log_q: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return -(wanted * log_q).sum(dim=1).sum() / images


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are log-probabilities over the labels and have no threshold."""
    import torch

    from bench_models.heads import Classifier

    to_scores = partial(torch.log_softmax, dim=1)
    return Classifier(request, cross_entropy, "log_probability", to_scores, slope=cross_entropy_and_slope)


SPEC = ModelSpec(
    name="softmax",
    summary="linear classifier, softmax cross-entropy with target 1/c on each of an image's c labels",
    kind="scores",
    build=build,
    options=(HIDDEN, *input_options(dropout=0.0)),
    training=CLASSIFIER_TRAINING,
    space=CLASSIFIER_SPACE,
    row="Softmax",
    source="Gong et al., Deep Convolutional Ranking for Multilabel Image Annotation, ICLR 2014",
)
