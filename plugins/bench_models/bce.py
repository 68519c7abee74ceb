"""BCE: independent sigmoids, one binary cross-entropy per label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import ModelRequest, ModelSpec
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, input_options

if TYPE_CHECKING:
    import torch


def binary_cross_entropy(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean over images of the sum over labels, but the ignored, of the binary cross-entropy."""
    from torch.nn import functional

    per_pair = functional.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none")
    if ignore is not None:
        per_pair = per_pair.masked_fill(ignore, 0.0)
    return per_pair.sum(dim=1).mean()


def binary_cross_entropy_and_slope(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same, nothing ignored, and its gradient by the logits: (sigmoid - truth) / images."""
    loss = binary_cross_entropy(logits, truth, generator)
    return loss, logits.sigmoid().sub_(truth.float()).mul_(1 / len(logits))


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are logits."""
    from bench_models.heads import Classifier

    return Classifier(request, binary_cross_entropy, "logit", slope=binary_cross_entropy_and_slope)


SPEC = ModelSpec(
    name="bce",
    summary="linear classifier, one sigmoid and binary cross-entropy per label",
    kind="scores",
    build=build,
    options=(HIDDEN, *input_options(dropout=0.0)),
    training=CLASSIFIER_TRAINING,
    space=CLASSIFIER_SPACE,
    row="Binary cross-entropy",
    source="Table 3 of Wang et al., CVPR 2016, prints it without a source",
)
