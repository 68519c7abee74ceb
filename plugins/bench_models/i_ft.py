"""I-FT: the network fine-tuned on whole images, its softmax brought near the labels' distribution by a squared loss.

Wei et al., CNN: Single-label to Multi-label, arXiv 1406.5726 (2014; as HCP in TPAMI 2016), where it is the network
before hypotheses are added. With p the softmax over labels and t of 1/c on each of an image's c labels, an image costs
sum_l (p_l - t_l)^2.

Deviations: backbone and classifier are fine-tuned for a few epochs at one learning rate, where the paper has sixty and
three rates; a fresh classifier is then trained on the tuned features. The loss is times the number of labels, without
which its gradients are too small for that rate. Ablation: ``--finetune 0``, which keeps the backbone frozen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench import ModelRequest, ModelSpec
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, input_options

if TYPE_CHECKING:
    import torch


def squared_loss(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the number of labels times the mean over images of sum_l (p_l - t_l)^2.

    p is the softmax of ``logits`` (n, labels), t is 1/c on each of an image's c labels. An image without labels has no
    distribution and adds nothing. An ignored label is in neither: p is the softmax over the others.
    """
    from bench_models.heads import even_target

    logits, wanted, labelled = even_target(logits, truth, ignore)
    per_image = (logits.softmax(dim=1) - wanted).square().sum(dim=1)
    return truth.shape[1] * (per_image * labelled).sum() / labelled.sum().clamp(min=1)


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are log-probabilities over the labels and have no threshold."""
    import torch

    from bench_models.heads import Classifier

    return Classifier(request, squared_loss, "log_probability", partial(torch.log_softmax, dim=1))


SPEC = ModelSpec(
    name="i-ft",
    summary="network fine-tuned on whole images, squared loss between softmax and 1/c on each of an image's c labels",
    kind="scores",
    build=build,
    options=(HIDDEN, *input_options(dropout=0.0)),
    training=CLASSIFIER_TRAINING,
    space=CLASSIFIER_SPACE,
    row="I-FT",
    source="Wei et al., CNN: Single-label to Multi-label, arXiv 1406.5726, 2014",
    deviations="a few epochs of fine-tuning at one learning rate, then a fresh classifier on the tuned features",
    finetune=5,
)
