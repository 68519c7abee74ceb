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
    per_image = -(wanted * logits.log_softmax(dim=1)).sum(dim=1)
    return per_image.sum() / labelled.sum().clamp(min=1)


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are log-probabilities over the labels and have no threshold."""
    import torch

    from bench_models.heads import Classifier

    return Classifier(request, cross_entropy, "log_probability", partial(torch.log_softmax, dim=1))


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
